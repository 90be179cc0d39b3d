"""Packs of weights: a server made here that breaks, lies and goes on; archives that try to lead outside."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cameo import downloads, weights
from cameo.downloads import RemoteFile, fetch_file
from cameo.errors import MissingWeights, OutputError, UsageError
from cameo.weights import PACKS, Pack, find_pack, known_pack, look_for, places, pull_pack, verify_pack

DETECTOR, RECOGNISER = b"detector" * 40_000, b"recogniser" * 50_000


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Server:
    """Serve files with ranges; `breaks` is after how many bytes each of the next answers ends."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    breaks: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    ranges: bool = True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(downloads, "PAUSE_S", 0.0)
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            state.asked.append(wanted)
            if state.statuses:
                self.send_response(state.statuses.pop(0))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            data = state.files[self.path.lstrip("/")]
            start = int(wanted[6:-1]) if wanted and state.ranges else 0
            if start >= len(data):
                self.send_response(416)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            rest = data[start:]
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest[: state.breaks.pop(0)] if state.breaks else rest)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{made.server_port}"
    yield state
    made.shutdown()
    made.server_close()


def zipped(**files: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as pages:
        for name, data in files.items():
            pages.writestr(name.replace("__", "/"), data)
    return held.getvalue()


def pack_of(server: Server, archive: bytes) -> Pack:
    server.files["tiny.zip"] = archive
    files = (
        RemoteFile("det.onnx", len(DETECTOR), sha256(DETECTOR)),
        RemoteFile("rec.onnx", len(RECOGNISER), sha256(RECOGNISER)),
        RemoteFile("2d106det.onnx", 9, sha256(b"landmarks"), required=False),
    )
    whole = RemoteFile("tiny.zip", len(archive), sha256(archive), f"{server.url}/tiny.zip")
    return Pack("tiny", "face", "insightface", weights.RESEARCH_ONLY, "nowhere", files, whole)


@pytest.fixture
def tiny(server: Server) -> Pack:
    return pack_of(server, zipped(**{"det.onnx": DETECTOR, "rec.onnx": RECOGNISER, "genderage.onnx": b"not wanted"}))


def test_a_pack_arrives_whole_and_only_what_is_used(tiny: Pack, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    pulled = pull_pack(tiny, tmp_path, lambda label, share: told.append((label, share)))
    assert pulled.folder == tmp_path / "models" / "tiny"
    assert pulled.digests == {"det.onnx": sha256(DETECTOR), "rec.onnx": sha256(RECOGNISER)}
    assert pulled.unvouched == ()
    assert sorted(path.name for path in pulled.folder.iterdir()) == ["det.onnx", "rec.onnx"]
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["tiny"], "no archive and no partial file is left"
    assert told[-1] == ("downloading tiny.zip", 1.0)


def test_a_folder_inside_the_archive_is_understood(server: Server, tmp_path: Path) -> None:
    pack = pack_of(server, zipped(tiny__det__X=b"", **{"tiny/det.onnx": DETECTOR, "tiny/rec.onnx": RECOGNISER}))
    assert set(pull_pack(pack, tmp_path).digests) == {"det.onnx", "rec.onnx"}


def test_a_broken_connection_is_taken_up_where_it_broke(server: Server, tiny: Pack, tmp_path: Path) -> None:
    server.breaks = [1000, 500]
    pull_pack(tiny, tmp_path)
    assert server.asked == ["", "bytes=1000-", "bytes=1500-"]


def test_the_next_run_goes_on_too(server: Server, tiny: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "ATTEMPTS", 1)
    server.breaks = [700]
    with pytest.raises(MissingWeights, match="cannot download") as refusal:
        pull_pack(tiny, tmp_path)
    assert "goes on where it stopped" in refusal.value.hint
    assert (tmp_path / "models" / "tiny.zip.part").stat().st_size == 700
    assert not (tmp_path / "models" / "tiny").exists()
    pull_pack(tiny, tmp_path)
    assert server.asked == ["", "bytes=700-"]


def test_a_server_without_ranges_starts_again(server: Server, tiny: Pack, tmp_path: Path) -> None:
    server.ranges, server.breaks = False, [1000]
    pull_pack(tiny, tmp_path)
    assert server.asked == ["", "bytes=1000-"]


def test_a_partial_file_of_another_edition_is_noticed(server: Server, tiny: Pack, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "tiny.zip.part").write_bytes(b"x" * 100)
    with pytest.raises(MissingWeights, match="arrived with SHA-256"):
        pull_pack(tiny, tmp_path)
    assert not list((tmp_path / "models").iterdir()), "the bytes that were wrong are gone"
    pull_pack(tiny, tmp_path)


def test_a_partial_file_that_is_too_long_starts_again(tiny: Pack, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "tiny.zip.part").write_bytes(b"x" * 2_000_000)
    pull_pack(tiny, tmp_path)


def test_a_busy_server_is_asked_again(server: Server, tiny: Pack, tmp_path: Path) -> None:
    server.statuses = [503, 429]
    pull_pack(tiny, tmp_path)
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_is_final(server: Server, tiny: Pack, tmp_path: Path, status: int) -> None:
    server.statuses = [status]
    with pytest.raises(MissingWeights, match=f"answers {status}"):
        pull_pack(tiny, tmp_path)
    assert len(server.asked) == 1


def test_another_file_than_the_known_one(server: Server, tiny: Pack, tmp_path: Path) -> None:
    server.files["tiny.zip"] = bytes(len(server.files["tiny.zip"]))
    with pytest.raises(MissingWeights, match=r"arrived with SHA-256 [0-9a-f]{64}, [0-9a-f]{64} is expected") as refusal:
        pull_pack(tiny, tmp_path)
    assert refusal.value.exit_code == 5
    assert not list((tmp_path / "models").iterdir())


def test_a_longer_file_than_the_known_one(server: Server, tiny: Pack, tmp_path: Path) -> None:
    server.files["tiny.zip"] += b"more"
    with pytest.raises(MissingWeights, match="is longer than"):
        pull_pack(tiny, tmp_path)


@pytest.mark.parametrize("name", ["../det.onnx", "tiny/../../det.onnx", "/det.onnx", "..\\det.onnx", "c:det.onnx"])
def test_names_that_lead_outside(server: Server, tmp_path: Path, name: str) -> None:
    pack = pack_of(server, zipped(**{"rec.onnx": RECOGNISER, name: DETECTOR}))
    home = tmp_path / "home"
    with pytest.raises(MissingWeights, match="leads outside"):
        pull_pack(pack, home)
    assert not list(tmp_path.glob("**/*.onnx"))


@pytest.mark.parametrize(
    ("archive", "said"),
    [
        (b"no archive", "is no archive"),
        (zipped(**{"det.onnx": DETECTOR}), "rec.onnx is missing"),
        (zipped(**{"det.onnx": DETECTOR, "rec.onnx": DETECTOR}), "is not the file of tiny"),
        (zipped(**{"det.onnx": DETECTOR + b"x", "rec.onnx": RECOGNISER}), "is longer than"),
        (zipped(**{"det.onnx": DETECTOR, "tiny/det.onnx": DETECTOR, "rec.onnx": RECOGNISER}), "is no archive"),
        (zipped(**{f"{k}.txt": b"" for k in range(100)}), "100 entries"),
    ],
)
def test_archives_that_are_not_the_pack(server: Server, tmp_path: Path, archive: bytes, said: str) -> None:
    with pytest.raises(MissingWeights, match=said):
        pull_pack(pack_of(server, archive), tmp_path)
    assert not (tmp_path / "models" / "tiny").exists()


def test_an_old_folder_is_replaced_as_a_whole(tiny: Pack, tmp_path: Path) -> None:
    old = tmp_path / "models" / "tiny"
    old.mkdir(parents=True)
    (old / "det.onnx").write_bytes(b"damaged")
    (old / "stray.txt").touch()
    pull_pack(tiny, tmp_path)
    assert sorted(path.name for path in old.iterdir()) == ["det.onnx", "rec.onnx"]


def test_a_place_that_cannot_be_written(tiny: Pack, tmp_path: Path) -> None:
    (tmp_path / "models").touch()
    with pytest.raises(OutputError, match="cannot write"):
        pull_pack(tiny, tmp_path)


def test_plain_http_is_not_asked_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx

    def answer(_method: str, url: str, **_options: object) -> object:
        from contextlib import nullcontext

        return nullcontext(httpx.Response(200, content=b"x", request=httpx.Request("GET", url)))

    monkeypatch.setattr(httpx, "stream", answer)
    with pytest.raises(MissingWeights, match="not asked over HTTPS"):
        fetch_file(RemoteFile("a", 1, sha256(b"x"), "http://example.org/a"), tmp_path, None)
    made = fetch_file(RemoteFile("a", 1, sha256(b"x"), "https://example.org/a"), tmp_path, None)
    assert made.read_bytes() == b"x"


def test_what_nobody_vouches_for_is_recorded_and_held_to_it(server: Server, tmp_path: Path) -> None:
    server.files["model.ckpt"] = b"first edition"
    file = RemoteFile("model.ckpt", 0, None, f"{server.url}/model.ckpt")
    pack = Pack("loose", "voice", "ecapa", "Apache-2.0", "nowhere", (file,))
    pulled = pull_pack(pack, tmp_path)
    assert pulled.unvouched == ("model.ckpt",)
    assert pulled.digests == {"model.ckpt": sha256(b"first edition")}
    assert verify_pack(pack, pulled.folder) == pulled.digests
    (pulled.folder / "model.ckpt").write_bytes(b"other edition")
    with pytest.raises(MissingWeights, match="is not the file of loose"):
        verify_pack(pack, pulled.folder)
    (pulled.folder / "cameo-pulled.json").write_bytes(b'{"pack": 3}')
    with pytest.raises(MissingWeights, match="cannot be read"):
        verify_pack(pack, pulled.folder)


def test_what_nobody_vouches_for_is_never_joined_from_two_runs(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "ATTEMPTS", 1)
    server.files["model.ckpt"], server.breaks = b"first edition", [5]
    pack = Pack("loose", "voice", "ecapa", "?", "?", (RemoteFile("model.ckpt", 0, None, f"{server.url}/model.ckpt"),))
    with pytest.raises(MissingWeights):
        pull_pack(pack, tmp_path)
    assert not list((tmp_path / "models").iterdir())


def test_a_run_that_was_killed_is_taken_up_but_not_one_that_writes(server: Server, tiny: Pack, tmp_path: Path) -> None:
    import os
    import time

    (tmp_path / "models").mkdir()
    begun = server.files["tiny.zip"][:300]
    working, killed = tmp_path / "models" / "tiny.zip.part-1", tmp_path / "models" / "tiny.zip.part-2"
    working.write_bytes(begun)
    pull_pack(tiny, tmp_path)
    assert working.exists()
    working.rename(killed)
    os.utime(killed, (time.time() - 3600,) * 2)
    pull_pack(tiny, tmp_path)
    assert server.asked == ["", "bytes=300-"]
    assert not killed.exists()


@pytest.fixture
def known(tiny: Pack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pack:
    monkeypatch.setitem(PACKS, "tiny", tiny)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "user")
    return tiny


def test_local_folders_come_first_and_are_hashed(known: Pack, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with pytest.raises(MissingWeights, match="not on this machine") as refusal:
        find_pack("tiny", home)
    assert refusal.value.hint == "get it with: cameo models pull tiny"
    assert look_for(known, home) is None
    shared = tmp_path / "user" / ".insightface" / "models" / "tiny" / "tiny"
    shared.mkdir(parents=True)
    (shared / "det.onnx").write_bytes(DETECTOR)
    with pytest.raises(MissingWeights, match=r"rec\.onnx is missing"):
        find_pack("tiny", home)
    (shared / "rec.onnx").write_bytes(RECOGNISER)
    assert find_pack("tiny", home) == look_for(known, home) == shared
    (shared / "2d106det.onnx").write_bytes(b"something")
    with pytest.raises(MissingWeights, match="is not the file of tiny"):
        find_pack("tiny", home)
    own = pull_pack(known, home).folder
    assert find_pack("tiny", home) == own


def test_the_cache_of_the_hub_is_looked_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    snapshot = tmp_path / "models--speechbrain--spkrec-ecapa-voxceleb" / "snapshots" / "0f99"
    snapshot.mkdir(parents=True)
    assert places(PACKS["spkrec-ecapa-voxceleb"], tmp_path / "home")[-1] == snapshot


def test_the_table() -> None:
    assert set(PACKS) == {"buffalo_l", "buffalo_m", "buffalo_s", "buffalo_sc", "antelopev2", "spkrec-ecapa-voxceleb"}
    for name, pack in PACKS.items():
        assert pack.name == name
        fetched = (pack.archive,) if pack.archive else pack.files
        assert all(file.url.startswith("https://") for file in fetched)
        for file in (*fetched, *pack.files):
            assert file.size > 0
            assert file.sha256 is None or (len(file.sha256) == 64 and set(file.sha256) <= set("0123456789abcdef"))
        assert pack.commercial == (pack.kind == "ecapa")
        assert pack.size == sum(file.size for file in fetched)
    assert replace(PACKS["buffalo_l"], licence="Apache-2.0").commercial
    with pytest.raises(UsageError, match="no known pack 'buffalo_x'"):
        known_pack("buffalo_x")
