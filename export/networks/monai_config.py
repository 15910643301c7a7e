"""Reads the configuration of a MONAI bundle as data: references are followed, expressions are refused, not evaluated.

MONAI's own parser evaluates every string that begins with ``$`` as Python and calls whatever a ``_target_`` names, so a
bundle of unknown origin must not be given to it. The syntax: MONAI's documentation, "Configuration".
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ...runtime.errors import InputError, MissingExtraError, first_line
from ...runtime.shortage import raise_shortage
from ...runtime.shown_value import shown

_SPECIAL = ("@", "$", "%")  # references, expressions, macros
_REFERENCE = re.compile(r"\$?@([\w-]+(?:(?:#|::)[\w-]+)*)")
_DEEPEST = 32  # levels of nesting, and references to references
_PENDING = object()
_NOTES = {"_target_", "_desc_", "_disabled_", "_requires_"}


@dataclass(frozen=True)
class Component:
    """An object that the configuration describes: a network, a transform, an inferer.

    Attributes:
        target: last part of the class's name.
        package: what stands before it, such as ``monai.transforms``; empty where the name stands alone.
        place: where it stands in the configuration, for messages.
        config: the configuration.
        raw: its arguments as they stand there.
    """

    target: str
    package: str
    place: str
    config: BundleConfig
    raw: Mapping[str, Any]

    @property
    def path(self) -> str:
        """The class as the configuration names it."""
        return f"{self.package}.{self.target}" if self.package else self.target

    def __contains__(self, argument: str) -> bool:
        return argument in self.raw

    def get(self, argument: str, default: Any = None) -> Any:
        """Returns the plain value of an argument.

        Raises:
            InputError: as `BundleConfig.plain`.
        """
        if argument not in self.raw:
            return default
        return self.config.resolved(self.raw[argument], f"{self.place}#{argument}")

    def arguments(self) -> dict[str, Any]:
        """Returns the plain values of all arguments.

        Raises:
            InputError: as `BundleConfig.plain`.
        """
        return {argument: self.get(argument) for argument in self.raw}


@dataclass(frozen=True)
class BundleConfig:
    """The content of a configuration file.

    Attributes:
        name: the file's name, for messages.
        content: what the file holds, as decoded.
        known: the references resolved so far.
    """

    name: str
    content: Mapping[str, Any]
    known: dict[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def read(cls, path: Path | zipfile.Path) -> BundleConfig:
        """Reads ``.json``, ``.yaml`` or ``.yml``.

        Raises:
            InputError: the file cannot be read, or holds no dictionary.
            MissingExtraError: the file is YAML, and PyYAML is not installed.
        """
        try:
            text = path.read_bytes().decode("utf-8-sig")
            content = json.loads(text) if path.name.endswith(".json") else _yaml(text)
        except (OSError, ValueError, RecursionError) as error:
            raise_shortage(error, f'"{path.name}"')
            raise InputError(f'"{path.name}" cannot be read: {first_line(error)}') from None
        if not isinstance(content, dict):
            raise InputError(f'"{path.name}": expected a dictionary, got {shown(content)}')
        return cls(path.name, cast("dict[str, Any]", content))

    def __contains__(self, key: str) -> bool:
        return key in self.content

    def plain(self, key: str) -> Any:
        """Returns the value at a key; references within it are followed.

        Raises:
            InputError: the key is absent, or the value contains an expression, a macro, or a reference to nowhere.
        """
        if key not in self.content:
            raise InputError(f'"{self.name}": expected "{key}", as MONAI\'s specification of bundles names it')
        return self.resolved(self.content[key], key)

    def component(self, key: str) -> Component:
        """Returns the object at a key.

        Raises:
            InputError: the key is absent, or the value describes no object, or one that is disabled.
        """
        if key not in self.content:
            raise InputError(f'"{self.name}": expected "{key}", as MONAI\'s specification of bundles names it')
        found = self._component(self.content[key], key)
        if found is None:
            raise InputError(f'"{self.name}": "{key}" is disabled; expected an object')
        return found

    def transforms(self, key: str) -> list[Component]:
        """Returns the enabled transforms of a ``Compose``, or of a list.

        Raises:
            InputError: the value is neither.
        """
        value, place = self._referred_to(self.content[key], key), key
        if isinstance(value, Mapping):
            composed = self._component(value, key)
            if composed is None:
                return []
            value, place = self._referred_to(composed.raw.get("transforms"), key), f"{key}#transforms"
        if not isinstance(value, list):
            raise InputError(f'"{self.name}": "{key}" is {shown(value)}; expected a Compose of transforms')
        found = (self._component(each, f"{place}#{number}") for number, each in enumerate(value))
        return [component for component in found if component is not None]

    def resolved(self, value: Any, place: str, depth: int = 0) -> Any:
        """Returns a value of this configuration with every reference within it followed.

        Args:
            value: the value as decoded.
            place: where it stands, for messages.
            depth: how many levels were followed before.

        Raises:
            InputError: as `plain`.
        """
        if depth > _DEEPEST:
            raise InputError(f'"{self.name}": "{place}" is nested too deeply')
        if isinstance(value, str) and value[:1] in _SPECIAL:
            return self._followed(value, place)
        if isinstance(value, Mapping):
            return {key: self.resolved(each, f"{place}#{key}", depth + 1) for key, each in value.items()}
        if isinstance(value, list):
            return [self.resolved(each, f"{place}#{number}", depth + 1) for number, each in enumerate(value)]
        return value

    def _followed(self, text: str, place: str) -> Any:
        """Returns the resolved value of a reference; each is resolved once, however often it occurs."""
        reference = self._reference(text, place)
        if reference not in self.known:
            self.known[reference] = _PENDING
            self.known[reference] = self.resolved(self._at(reference, place), f"{place} ({text})")
        if self.known[reference] is _PENDING:
            raise InputError(f'"{self.name}": "{place}" refers to itself')
        return self.known[reference]

    def _component(self, value: Any, place: str) -> Component | None:
        value = self._referred_to(value, place)
        target = value.get("_target_") if isinstance(value, Mapping) else None
        if not isinstance(target, str):
            raise InputError(f'"{self.name}": "{place}" is {shown(value)}; expected an object with a "_target_"')
        unknown = [key for key in value if key.startswith("_") and key not in _NOTES]
        if unknown:
            raise InputError(f'"{self.name}": "{place}" has "{unknown[0]}", which has no translation into bedside')
        if self.resolved(value.get("_disabled_", False), f"{place}#_disabled_") in (True, "true", "True"):
            return None
        package, _, last = target.rpartition(".")
        raw = {key: each for key, each in value.items() if not key.startswith("_")}
        return Component(last, package, place, self, raw)

    def _referred_to(self, value: Any, place: str) -> Any:
        """Returns the value itself, or what it refers to, as it stands there."""
        for _ in range(_DEEPEST):
            if not (isinstance(value, str) and value[:1] in _SPECIAL):
                return value
            value = self._at(self._reference(value, place), place)
        raise InputError(f'"{self.name}": "{place}" refers to itself')

    def _reference(self, text: str, place: str) -> str:
        found = _REFERENCE.fullmatch(text)
        if found is None:
            raise InputError(
                f'"{self.name}": "{place}" is the expression {shown(text)}; bedside reads a bundle as data and '
                "evaluates nothing: write the value itself there"
            )
        return found[1]

    def _at(self, reference: str, place: str) -> Any:
        value: Any = self.content
        for part in re.split("#|::", reference):
            if isinstance(value, Mapping) and part in value:
                value = value[part]
            elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
                value = value[int(part)]
            else:
                raise InputError(f'"{self.name}": "{place}" refers to "@{reference}", which is not there')
        return value


def _yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise MissingExtraError("pyyaml", "export") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"it is not valid YAML ({first_line(error)})") from None
