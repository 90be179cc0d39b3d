"""Turn faces and voices into templates: encoders behind two protocols, pooling and comparison."""
