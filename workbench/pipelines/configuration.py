"""Configuration: the JSON or YAML of a bundle, read as data and built from what is allowed.

MONAI's own parser evaluates what begins with "$" and calls any name. Here a configuration is a tree
of plain values: it is checked whole against `bundle_rules` before anything is imported, and only
what passed is called. A bundle that a site trusts is handed to MONAI's parser instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from workbench.errors import PipelineError, nearest, show
from workbench.pipelines.bundle_files import refuse
from workbench.pipelines.bundle_rules import (
    ALLOWED,
    CODE,
    COMPOSE,
    DEEPEST,
    LARGEST_BATCH,
    LARGEST_NUMBER,
    LARGEST_OVERLAP,
    LEFT_OUT,
    LONGEST_TEXT,
    MARKS,
    MOST_VALUES,
    NETWORK_KEYS,
    REFERENCE,
    REFUSED_ARGUMENTS,
    SECTIONS,
    SHORT,
    SMALLEST_SPACING_MM,
    SMALLEST_WINDOW,
    exact_name,
)
from workbench.pipelines.component import Parts, load_component, require_argument

_TRUST = "or have the site trust the bundle: [bundles] trusted in site.toml"


@dataclass(frozen=True)
class Configuration:
    """Hold a configuration that may be built.

    Parameters
    ----------
    name
        File that it was read from.
    tree
        Its values.
    trusted
        Whether the site vouches for the bundle, so that MONAI's parser may evaluate it.
    """

    name: str
    tree: Mapping[str, Any] = field(repr=False)
    trusted: bool = False

    def validate(self) -> None:
        """Refuse what may not be built; nothing is imported, and nothing called.

        Raises
        ------
        PipelineError
            With file, key and value.
        """
        network = [key for key in NETWORK_KEYS if key in self.tree]
        for key in ("preprocessing", "inferer"):
            if key not in self.tree:
                raise refuse(self.name, key, None, f"The key {key!r} is missing", "Write it")
        if not network:
            key = NETWORK_KEYS[0]
            raise refuse(self.name, key, None, f"The key {key!r} is missing", "Write it")
        if self.trusted:
            return
        for place, value in self._walk():
            self._check(place, value)
        for section in SECTIONS:
            self._check_section(section)
        applied = {"preprocessing", *(place for place, _ in self.steps("preprocessing"))}
        for section in SECTIONS:
            # Invertd inverts what was applied: of that it knows the steps.
            sizes = dict.fromkeys(applied, 1) if section == "postprocessing" else {}
            for place, component in self.steps(section):
                self._check_arguments(place, component, frozenset(), sizes)

    def _walk(self) -> Iterator[tuple[str, Any]]:
        waiting: list[tuple[str, Any, int]] = [("", self.tree, 0)]
        number = 0
        while waiting:
            place, value, depth = waiting.pop()
            number += 1
            if depth > DEEPEST or number > MOST_VALUES:
                what = f"More than {DEEPEST} levels, or {MOST_VALUES:,} values"
                raise refuse(self.name, place, None, what, "Make it smaller")
            yield place, value
            if isinstance(value, dict):
                for key, held in value.items():
                    if not isinstance(key, str):
                        raise refuse(self.name, place, key, "A key is no text", "Put it in quotes")
                    waiting.append((f"{place}.{key}" if place else key, held, depth + 1))
            elif isinstance(value, list):
                waiting += [(f"{place}.{i}", held, depth + 1) for i, held in enumerate(value)]

    def _check(self, place: str, value: object) -> None:
        last = place.rpartition(".")[2]
        if isinstance(value, dict):
            self._check_table(place, value)
        elif isinstance(value, str):
            self._check_text(place, value)
        elif value is not None and not isinstance(value, bool | int | float | list):
            raise refuse(self.name, place, value, "The value is not plain", "Write JSON values")
        if isinstance(value, int | float) and not abs(value) <= LARGEST_NUMBER:
            what = f"A number is not finite, or beyond {LARGEST_NUMBER:,}"
            raise refuse(self.name, place, value, what, "Write a smaller one")
        if last in REFUSED_ARGUMENTS and value not in (None, False):
            what = f"The argument {last!r} is not allowed"
            raise refuse(self.name, place, value, what, REFUSED_ARGUMENTS[last])

    def _check_table(self, place: str, table: Mapping[str, Any]) -> None:
        for key in table:
            if key.startswith(CODE) or (key.startswith("_") and key not in MARKS):
                what = "A bundle that is not trusted may not say how it is to be run"
                raise refuse(
                    self.name, f"{place}.{key}" if place else key, table[key], what,
                    f"Remove the key, {_TRUST}",
                )  # fmt: skip
        if "_target_" not in table:
            return
        target = table["_target_"]
        if not isinstance(target, str) or not exact_name(target):
            told = target.rpartition(".")[2] if isinstance(target, str) else ""
            close = nearest(told, SHORT)
            hint = f"Did you mean {close!r}? " if close else ""
            raise refuse(
                self.name, f"{place}._target_", target,
                f"A bundle may not call {show(target)!r}", f"{hint}Use what is allowed, {_TRUST}",
            )  # fmt: skip
        if not isinstance(table.get("_disabled_", False), bool):
            what = "'_disabled_' is neither true nor false"
            raise refuse(self.name, place, table["_disabled_"], what, "Write true or false")
        if exact_name(target).endswith(".Spacingd"):
            self._check_spacing(place, table.get("pixdim"))
        elif exact_name(target).endswith(".SlidingWindowInferer"):
            self._check_window(place, table)

    def _check_spacing(self, place: str, spacing: object) -> None:
        parts = spacing if isinstance(spacing, list) else [spacing]
        good = all(
            isinstance(p, int | float) and (p >= SMALLEST_SPACING_MM or p < 0) for p in parts
        )
        if not good:
            what = f"A spacing is below {SMALLEST_SPACING_MM} mm, or none"
            raise refuse(self.name, f"{place}.pixdim", spacing, what, "Write millimetres")

    def _check_window(self, place: str, table: Mapping[str, Any]) -> None:
        """Refuse a window that would be moved over an image for ever."""
        for key, low, high in (
            ("roi_size", SMALLEST_WINDOW, LARGEST_NUMBER), ("overlap", 0, LARGEST_OVERLAP),
            ("sw_batch_size", 1, LARGEST_BATCH),
        ):  # fmt: skip
            given = table.get(key, low)
            for part in given if isinstance(given, list) else [given]:
                if not isinstance(part, int | float) or not low <= part <= high:
                    todo = f"Write {low:g} to {high:g}"
                    what = f"{key!r} of a window is out of range"
                    raise refuse(self.name, f"{place}.{key}", given, what, todo)

    def _check_text(self, place: str, text: str) -> None:
        if text.startswith(CODE):
            kind = "an expression" if text.startswith("$") else "a macro"
            what = f"The configuration holds {kind}, which is code"
            raise refuse(self.name, place, text, what, f"Write the value itself, {_TRUST}")
        if len(text) > LONGEST_TEXT:
            raise refuse(self.name, place, text, "A text is too long", "Shorten it")
        if text.startswith(REFERENCE):
            self._follow(place, text)

    def _follow(self, place: str, reference: str) -> tuple[str, Any]:
        """Return place and value that a reference leads to."""
        seen: list[str] = []
        target: Any = reference
        at = place
        while isinstance(target, str) and target.startswith(REFERENCE):
            if target in seen:
                raise refuse(self.name, place, reference, "References run in a circle", "Cut it")
            seen.append(target)
            self._require_near(place, reference, len(seen))
            at = target[1:].replace("::", ".").replace("#", ".")
            target = self._at(at, place, reference)
        return at, target

    def _require_near(self, place: str, reference: str, steps: int) -> None:
        if steps > DEEPEST:
            what = f"References lead on more than {DEEPEST} times"
            raise refuse(self.name, place, reference, what, "Write the value itself")

    def _at(self, at: str, place: str, reference: str) -> Any:  # noqa: ANN401 - any value of JSON
        value: Any = self.tree
        for part in at.split("."):
            try:
                value = value[int(part)] if isinstance(value, list) else value[part]
            except (KeyError, IndexError, TypeError, ValueError):
                close = nearest(at, self.tree)
                todo = f"Did you mean '@{close}'?" if close else "Refer to a key of this file"
                what = "A reference leads nowhere"
                raise refuse(self.name, place, reference, what, todo) from None
        return value

    def _check_section(self, section: str) -> None:
        """Refuse a part whose steps are not of the kind that belongs there."""
        key = self._key(section)
        for place, component in self.steps(section):
            if isinstance(component, Mapping) and "_target_" in component:
                name = exact_name(str(component["_target_"]))
                if name in SECTIONS[section]:
                    continue
                what = f"{name or 'This'} cannot stand in {key!r}"
                raise refuse(self.name, place, component["_target_"], what, "Put it elsewhere")
            what = f"{key!r} holds what is no component"
            raise refuse(self.name, place, component, what, "Write a table with _target_")

    def _check_arguments(
        self, place: str, value: object, above: frozenset[str], sizes: dict[str, int]
    ) -> int:
        """Refuse a call among arguments: an image is read, changed and written by steps alone.

        Return how many values it is with all that references lead to, each looked at once.
        """
        if isinstance(value, str) and value.startswith(REFERENCE):
            at, held = self._follow(place, value)
            if at not in sizes:
                if at in above or place.startswith(f"{at}."):
                    raise refuse(self.name, place, value, "References run in a circle", "Cut it")
                self._require_near(place, value, len(above))
                require_argument(self.name, at, held)
                sizes[at] = self._check_arguments(at, held, above | {at}, sizes)
            return sizes[at]
        held = value.items() if isinstance(value, Mapping) else ()
        listed = enumerate(value) if isinstance(value, list) else ()
        number = 1
        for key, inner in (*held, *listed):
            at = f"{place}.{key}"
            require_argument(self.name, at, inner)
            number += self._check_arguments(at, inner, above, sizes)
        if number > MOST_VALUES:
            what = f"More than {MOST_VALUES:,} values"
            raise refuse(self.name, place, None, what, "Refer to less")
        return number

    def _key(self, section: str) -> str:
        if section != "network":
            return section
        return next(key for key in NETWORK_KEYS if key in self.tree)

    def steps(self, section: str) -> list[tuple[str, Any]]:
        """Return place and value of each component of a part; those of a Compose one by one."""
        key = self._key(section)
        if key not in self.tree:
            return []
        place, whole = self._follow(key, self.tree[key]) if isinstance(
            self.tree[key], str
        ) and self.tree[key].startswith(REFERENCE) else (key, self.tree[key])  # fmt: skip
        if isinstance(whole, Mapping) and exact_name(str(whole.get("_target_"))) == COMPOSE:
            place, whole = f"{place}.transforms", whole.get("transforms")
            if isinstance(whole, str) and whole.startswith(REFERENCE):
                place, whole = self._follow(place, whole)
        listed = whole if isinstance(whole, list) else [whole]
        found = []
        for number, given in enumerate(listed):
            at, held = (f"{place}.{number}" if isinstance(whole, list) else place), given
            if isinstance(held, str) and held.startswith(REFERENCE):
                at, held = self._follow(at, held)
            if not (isinstance(held, Mapping) and held.get("_disabled_") is True):
                found.append((at, held))
        return found

    def resolve(self, place: str, value: Any) -> Any:  # noqa: ANN401 - any value of JSON
        """Return a value with what its references lead to in their place."""
        if isinstance(value, str) and value.startswith(REFERENCE):
            return value if self.trusted else self.resolve(*self._follow(place, value))
        if isinstance(value, Mapping):
            return {key: self.resolve(place, held) for key, held in value.items()}
        if isinstance(value, list):
            return [self.resolve(place, held) for held in value]
        return value

    def build(self) -> Parts:
        """Return new objects for each part; several calls share nothing.

        Raises
        ------
        PipelineError
            If an argument is not what a component takes.
        """
        if self.trusted:
            return self._build_by_monai()
        # Invertd refers to what it inverts: the same objects that are applied.
        steps = [
            (place, held) for place, held in self.steps("preprocessing")
            if exact_name(str(held["_target_"])) not in LEFT_OUT
        ]  # fmt: skip
        built = _Builder(self)
        compose = load_component(COMPOSE)
        before = compose([built.make(place, held) for place, held in steps])
        built.known["preprocessing"] = before
        after = [
            (exact_name(str(held["_target_"])), built.make(place, held))
            for place, held in self.steps("postprocessing")
            if exact_name(str(held["_target_"])) not in LEFT_OUT
        ]
        (place, inferer), *_ = self.steps("inferer")
        return Parts(before, built.make(place, inferer), tuple(after))

    def build_network(self) -> Any:  # noqa: ANN401 - a torch.nn.Module
        """Return the network, with weights that mean nothing yet."""
        if self.trusted:
            return self._monai_parser().get_parsed_content(self._key("network"))
        (place, held), *_ = self.steps("network")
        return _Builder(self).make(place, held)

    def _monai_parser(self) -> Any:  # noqa: ANN401 - MONAI has no types
        tree = json.loads(json.dumps(self.tree))
        waiting = [tree]
        while waiting:
            held = waiting.pop()
            if isinstance(held, dict):
                if exact_name(str(held.get("_target_"))) in LEFT_OUT:
                    held["_disabled_"] = True
                waiting += held.values()
            elif isinstance(held, list):
                waiting += held
        return import_module("monai.bundle").ConfigParser(tree)

    def _build_by_monai(self) -> Parts:
        parser = self._monai_parser()
        before = parser.get_parsed_content("preprocessing")
        inferer = parser.get_parsed_content("inferer")
        given = "postprocessing" in self.tree
        after = parser.get_parsed_content("postprocessing") if given else None
        steps = () if after is None else tuple(getattr(after, "transforms", (after,)))
        named = tuple((f"{type(s).__module__.split('.')[0]}.{type(s).__name__}", s) for s in steps)
        return Parts(before, inferer, named)


class _Builder:
    """Call what a checked configuration names; one place gives one object."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.known: dict[str, Any] = {}

    def make(self, place: str, value: Any, *, argument: bool = False) -> Any:  # noqa: ANN401 - JSON
        if isinstance(value, str) and value.startswith(REFERENCE):
            at, target = self.configuration._follow(place, value)
            return self.known[at] if at in self.known else self.make(at, target, argument=argument)
        if isinstance(value, list):
            return [self.make(f"{place}.{i}", v, argument=argument) for i, v in enumerate(value)]
        if not isinstance(value, Mapping):
            return value
        if value.get("_disabled_") is True:
            return None
        if argument:
            require_argument(self.configuration.name, place, value)
        arguments = {
            k: self.make(f"{place}.{k}", v, argument=True)
            for k, v in value.items() if k not in MARKS
        }  # fmt: skip
        if "_target_" not in value:
            return arguments
        if place not in self.known:
            self.known[place] = self._call(place, str(value["_target_"]), arguments)
        return self.known[place]

    def _call(self, place: str, target: str, arguments: dict[str, Any]) -> Any:  # noqa: ANN401
        name = exact_name(target)
        if name not in ALLOWED or name in LEFT_OUT:
            raise refuse(self.configuration.name, place, target, "Not allowed", "Remove it")
        try:
            return load_component(name)(**arguments)
        except PipelineError:
            raise
        except (
            ArithmeticError, AttributeError, ImportError, LookupError, RuntimeError, TypeError,
            ValueError,
        ) as error:  # fmt: skip
            what = f"{target.rpartition('.')[2]} cannot be made: {show(str(error), 160)}"
            todo = "Correct its arguments"
            raise refuse(self.configuration.name, place, None, what, todo) from None
