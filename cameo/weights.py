"""Find and fetch the weights that do not ship: a table of known packs, local folders first, every byte hashed.

Nothing is downloaded unless `pull_pack` is called. The digests of the table were looked up in several independent
public records that agree; a file whose digest nobody states has None: what arrived is recorded then, not vouched for.
"""

from __future__ import annotations

import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import msgspec

from cameo.downloads import LARGEST, Progress, RemoteFile, fetch_file, sha256_of
from cameo.errors import MissingWeights, OutputError, UsageError
from cameo.files import atomic_write

INSIGHTFACE, ECAPA = "insightface", "ecapa"
RESEARCH_ONLY = "InsightFace weights: non-commercial research"

_BLOCK = 1 << 20
_MAX_ENTRIES = 64
_RECORD = "cameo-pulled.json"
_RECORD_LIMIT = 65_536


@dataclass(frozen=True, slots=True)
class Pack:
    """Describe a known set of weights.

    Attributes:
        use: what they are: "face" or "voice".
        kind: the encoder that reads them, as in `--face-model KIND:NAME`.
        files: what of it is used.
        archive: the ZIP file they come in, if they do.
        hub: its repository on the Hugging Face hub, whose cache is looked in; "" if there is none.
        source: a page about it.
    """

    name: str
    use: str
    kind: str
    licence: str
    source: str
    files: tuple[RemoteFile, ...]
    archive: RemoteFile | None = None
    hub: str = ""

    @property
    def commercial(self) -> bool:
        """Whether the licence leaves room for commercial use."""
        return self.licence != RESEARCH_ONLY

    @property
    def size(self) -> int:
        """Bytes to download."""
        return self.archive.size if self.archive else sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True)
class Pulled:
    """Say what a download left: the folder, SHA-256 by file name, and the names whose digest nobody states."""

    folder: Path
    digests: dict[str, str]
    unvouched: tuple[str, ...]


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What arrived, for files whose digest nobody states."""

    pack: str
    sha256: dict[str, str]


_RELEASE = "https://github.com/deepinsight/insightface/releases/download/v0.7"
_POSE = RemoteFile(
    "1k3d68.onnx", 143_607_619, "df5c06b8a0c12e422b2ed8947b8869faa4105387f199c477af038aa01f9a45cc", required=False
)
_POINTS = RemoteFile(
    "2d106det.onnx", 5_030_888, "f001b856447c413801ef5c42091ed0cd516fcd21f2d6b79635b1e733a7109dbf", required=False
)
_DET_10G = RemoteFile("det_10g.onnx", 16_923_827, "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91")
_DET_2_5G = RemoteFile("det_2.5g.onnx", 3_292_009, "041f73f47371333d1d17a6fee6c8ab4e6aecabefe398ff32cca4e2d5eaee0af9")
_DET_500M = RemoteFile("det_500m.onnx", 2_524_817, "5e4447f50245bbd7966bd6c0fa52938c61474a04ec7def48753668a9d8b4ea3a")
_R50 = RemoteFile("w600k_r50.onnx", 174_383_860, "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43")
_MBF = RemoteFile("w600k_mbf.onnx", 13_616_099, "9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f")
_SCRFD_10G = RemoteFile("scrfd_10g_bnkps.onnx", _DET_10G.size, _DET_10G.sha256)
_R100 = RemoteFile("glintr100.onnx", 260_665_334, "4ab1d6435d639628a6f3e5008dd4f929edf4c4124b1a7169e1048f9fef534cdf")
_ECAPA_AT = "https://huggingface.co/speechbrain/spkrec-ecapa-voxceleb/resolve/0f99f2d0ebe89ac095bcc5903c4dd8f72b367286"


def _insightface(name: str, size: int, sha256: str, *files: RemoteFile) -> Pack:
    archive = RemoteFile(f"{name}.zip", size, sha256, f"{_RELEASE}/{name}.zip")
    page = "https://github.com/deepinsight/insightface/tree/master/model_zoo"
    return Pack(name, "face", INSIGHTFACE, RESEARCH_ONLY, page, files, archive)


_ALL = (
    _insightface(
        "buffalo_l",
        288_621_354,
        "80ffe37d8a5940d59a7384c201a2a38d4741f2f3c51eef46ebb28218a7b0ca2f",
        *(_DET_10G, _R50, _POINTS, _POSE),
    ),
    _insightface(
        "buffalo_m",
        275_951_529,
        "d98264bd8f2dc75cbc2ddce2a14e636e02bb857b3051c234b737bf3b614edca9",
        *(_DET_2_5G, _R50, _POINTS, _POSE),
    ),
    _insightface(
        "buffalo_s",
        127_607_557,
        "d85a87f503f691807cd8bb97128bdf7a0660326cd9cd02657127fa978bab8b5e",
        *(_DET_500M, _MBF, _POINTS, _POSE),
    ),
    _insightface(
        "buffalo_sc", 14_969_382, "57d31b56b6ffa911c8a73cfc1707c73cab76efe7f13b675a05223bf42de47c72", _DET_500M, _MBF
    ),
    _insightface(
        "antelopev2",
        360_662_982,
        "8e182f14fc6e80b3bfa375b33eb6cff7ee05d8ef7633e738d1c89021dcf0c5c5",
        *(_SCRFD_10G, _R100, _POINTS, _POSE),
    ),
    Pack(
        "spkrec-ecapa-voxceleb",
        "voice",
        ECAPA,
        "Apache-2.0",
        "https://huggingface.co/speechbrain/spkrec-ecapa-voxceleb",
        (
            RemoteFile(
                "embedding_model.ckpt",
                83_316_686,
                "0575cb64845e6b9a10db9bcb74d5ac32b326b8dc90352671d345e2ee3d0126a2",
                f"{_ECAPA_AT}/embedding_model.ckpt",
            ),
        ),
        hub="speechbrain/spkrec-ecapa-voxceleb",
    ),
)
PACKS = {pack.name: pack for pack in _ALL}


def licence_notice(name: str, licence: str) -> str:
    """Say what the licence of a pack or an encoder asks of whoever uses it; "" when there is nothing to say."""
    if licence != RESEARCH_ONLY:
        return ""
    return f"{name} is for non-commercial research only; whether your use is that is yours to judge"


def known_pack(name: str) -> Pack:
    """Look a pack up in the table.

    Raises:
        UsageError: it is not in it.
    """
    if name not in PACKS:
        raise UsageError(f"there is no known pack {name!r}", f"the packs are: {', '.join(PACKS)}")
    return PACKS[name]


def places(pack: Pack, home: Path) -> list[Path]:
    """List the folders where a pack may be, most trusted first; none need exist.

    Args:
        pack: which.
        home: `config.home()`.
    """
    found = [home / "models" / pack.name]
    if pack.kind == INSIGHTFACE:
        shared = Path.home() / ".insightface" / "models" / pack.name
        found += [shared, shared / pack.name]  # antelopev2 unpacks one folder too deep
    if pack.hub:
        from huggingface_hub.constants import HF_HUB_CACHE

        snapshots = Path(HF_HUB_CACHE) / f"models--{pack.hub.replace('/', '--')}" / "snapshots"
        found += sorted(snapshots.glob("*")) if snapshots.is_dir() else []
    return found


def look_for(pack: Pack, home: Path) -> Path | None:
    """Find a folder that holds what the pack requires, by name and size only."""
    for folder in places(pack, home):
        if all(_has(folder, file) for file in pack.files if file.required):
            return folder
    return None


def find_pack(name: str, home: Path) -> Path:
    """Find the folder of a pack on this machine and verify every file of it that is used.

    Raises:
        UsageError: the table has no such pack.
        MissingWeights: it is not here, or what is here differs from its digest.
    """
    pack = known_pack(name)
    refusal: MissingWeights | None = None
    for folder in places(pack, home):
        if any((folder / file.name).is_file() for file in pack.files):
            try:
                verify_pack(pack, folder)
                return folder
            except MissingWeights as error:
                refusal = refusal or error
    raise refusal or MissingWeights(f"the pack {name} is not on this machine", f"get it with: cameo models pull {name}")


def verify_pack(pack: Pack, folder: Path) -> dict[str, str]:
    """Hash the files of a pack, and compare with what is known.

    Returns:
        SHA-256 (hex) of every file that is there, by name.

    Raises:
        MissingWeights: a required file is missing, or a file differs from its digest.
    """
    recorded = _recorded(pack, folder)
    hint = f"get it anew with: cameo models pull {pack.name}"
    digests: dict[str, str] = {}
    for file in pack.files:
        path = folder / file.name
        if not path.is_file():
            if file.required:
                raise MissingWeights(f"{path} is missing", hint)
            continue
        digest = sha256_of(path)
        expected = file.sha256 or recorded.get(file.name, digest)
        if digest != expected or (file.size and path.stat().st_size != file.size):
            raise MissingWeights(f"{path} is not the file of {pack.name}: its SHA-256 is {digest}", hint)
        digests[file.name] = digest
    return digests


def pull_pack(pack: Pack, home: Path, progress: Progress | None = None) -> Pulled:
    """Download a pack into `home`/models; it appears there whole and verified, or not at all.

    A broken download goes on where it stopped, within this call and in the next one.

    Raises:
        MissingWeights: it cannot be had, or what arrived is not what is known.
        OutputError: it cannot be written.
    """
    target = home / "models" / pack.name
    with _writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{pack.name}-", dir=target.parent))
        try:
            for file in (pack.archive,) if pack.archive else pack.files:
                arrived = fetch_file(file, target.parent, progress)
                if pack.archive:
                    _unpack(arrived, pack, staging)
                    arrived.unlink()
                else:
                    arrived.replace(staging / file.name)
            unvouched = tuple(file.name for file in pack.files if file.sha256 is None and _has(staging, file))
            digests = verify_pack(pack, staging)
            if unvouched:
                record = _Record(pack.name, {name: digests[name] for name in unvouched})
                atomic_write(staging / _RECORD, msgspec.json.encode(record))
            staging.chmod(0o755)
            _take_place(staging, target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return Pulled(target, digests, unvouched)


def _has(folder: Path, file: RemoteFile) -> bool:
    path = folder / file.name
    return path.is_file() and file.size in (0, path.stat().st_size)


def _recorded(pack: Pack, folder: Path) -> dict[str, str]:
    path = folder / _RECORD
    if all(file.sha256 for file in pack.files) or not path.is_file():
        return {}
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_RECORD_LIMIT), type=_Record).sha256
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MissingWeights(f"{path} cannot be read", f"get it anew with: cameo models pull {pack.name}") from error


def _unpack(archive: Path, pack: Pack, folder: Path) -> None:
    """Write the files of the pack, and nothing else, from its archive; names in it choose no place."""
    hint = f"get it anew with: cameo models pull {pack.name}"
    wanted = {file.name: file for file in pack.files}
    try:
        with zipfile.ZipFile(archive) as pages:
            entries = pages.infolist()
            if len(entries) > _MAX_ENTRIES:
                raise MissingWeights(f"{archive.name} has {len(entries)} entries", hint)
            for entry in entries:
                parts = PurePosixPath(entry.filename).parts
                if ".." in parts or entry.filename.startswith("/") or "\\" in entry.filename or ":" in entry.filename:
                    raise MissingWeights(f"{archive.name} holds a name that leads outside: {entry.filename!r}", hint)
                file = wanted.get(parts[-1]) if parts and not entry.is_dir() else None
                if file is None or parts[:-1] not in ((), (pack.name,)):
                    continue
                with pages.open(entry) as source, (folder / file.name).open("xb") as out:
                    _copy(source.read, out.write, file.size or LARGEST, archive.name)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, FileExistsError) as error:
        raise MissingWeights(f"{archive.name} is no archive of {pack.name}: {error}", hint) from error


def _copy(read: Callable[[int], bytes], write: Callable[[bytes], object], limit: int, name: str) -> None:
    left = limit
    while block := read(_BLOCK):
        left -= len(block)
        if left < 0:
            raise MissingWeights(f"a file in {name} is longer than {limit} bytes", "this is not the known archive")
        write(block)


def _take_place(staging: Path, target: Path) -> None:
    """Put a whole folder where an old one may stand."""
    old = target.with_name(f".{target.name}-{time.time_ns():x}")
    with suppress(FileNotFoundError):
        target.rename(old)
    staging.rename(target)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"cannot write {target}: {reason}", "check the path and the disk") from error
