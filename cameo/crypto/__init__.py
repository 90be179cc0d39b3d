"""The one room that speaks to the `cryptography` package: keys, signatures, boxes, strict decoding."""
