"""What `node.toml` holds: where a node listens, whom it accepts, what it segments with, and where results go."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from ...runtime import arguments
from ...runtime.checked_struct import CheckedStruct
from ...runtime.errors import FieldError, InputError
from ...runtime.files.toml import read_toml
from .rules import Rule
from .sections import Access, Engine, Limits, Listening, Peer, Tls


class NodeConfig(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole of `node.toml`."""

    node: Listening
    peers: tuple[Peer, ...]
    rules: tuple[Rule, ...]
    access: Access = msgspec.field(default_factory=Access)
    limits: Limits = msgspec.field(default_factory=Limits)
    engine: Engine = msgspec.field(default_factory=Engine)
    tls: Tls | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for kind, each in (("peers", self.peers), ("rules", self.rules)):
            names = [one.name for one in each]
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise FieldError(f'{kind}: expected names of their own, got "{twice}" twice')
        if not self.rules:
            raise FieldError("rules: expected at least one rule, got none")
        known = {peer.name for peer in self.peers}
        for rule in self.rules:
            for name in rule.send_to:
                if name not in known:
                    raise FieldError(f'rules: "{rule.name}" sends to "{name}", which is not among the peers')
        if self.node.count_from is not None and self.node.count_from not in known:
            raise FieldError(f'node.count_from: expected the name of a peer, got "{self.node.count_from}"')
        if self.tls is not None and self.node.storescp == "dcmtk":
            raise FieldError(
                'node.storescp: "dcmtk" cannot be used with [tls], because titles are then not checked; leave out '
                '[tls], or use "pynetdicom"'
            )
        if self.tls is None and any(peer.tls for peer in self.peers):
            raise FieldError("peers: tls = true needs the section [tls]")

    def peer(self, name: str) -> Peer:
        """Returns the peer of a name."""
        return next(peer for peer in self.peers if peer.name == name)


def load_node_config(path: str | os.PathLike[str]) -> NodeConfig:
    """Reads `node.toml`; paths in it become absolute, from the folder of the file.

    Raises:
        UsageError: ``path`` is no path.
        InputError: the file cannot be read or is not valid; the field is named.
    """
    file = arguments.path("config", path)
    content = read_toml(file, "configuration")
    try:
        config = msgspec.convert(content, NodeConfig)
    except msgspec.ValidationError as error:
        raise InputError(f'configuration "{file.name}" is not valid: {error}') from None
    folder = file.absolute().parent
    return msgspec.structs.replace(
        config,
        node=msgspec.structs.replace(config.node, queue=_absolute(folder, config.node.queue)),
        rules=tuple(msgspec.structs.replace(rule, bundle=_absolute(folder, rule.bundle)) for rule in config.rules),
        tls=None if config.tls is None else _absolute_tls(folder, config.tls),
    )


def _absolute(folder: Path, path: str) -> str:
    return str(folder / path)


def _absolute_tls(folder: Path, tls: Tls) -> Tls:
    files = {name: _absolute(folder, getattr(tls, name)) for name in ("certificate", "key", "authority")}
    return msgspec.structs.replace(tls, **files)
