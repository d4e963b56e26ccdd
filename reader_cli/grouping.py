"""Options that belong together, declared once as the fields of a dataclass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints


def grouped(command: Callable[..., int]) -> Callable[..., int]:
    """Lets a Typer command take whole groups of options: `def watch(ctx, jobs, following: FollowOptions) -> int`.

    Each parameter whose type is a dataclass is replaced, for Typer, by the dataclass's fields; the command gets an
    instance. What the dataclass checks in `__post_init__` is so checked before anything is done.
    """
    parameters: dict[str, Parameter] = {}
    groups: dict[str, list[str]] = {}
    hints = get_type_hints(command, include_extras=True)
    for name, parameter in signature(command).parameters.items():
        if is_dataclass(hints[name]):
            groups[name] = [field.name for field in fields(hints[name]) if field.init]
            parameters |= _fields_as_parameters(hints[name])
        else:
            parameters[name] = parameter.replace(annotation=hints[name], kind=Parameter.KEYWORD_ONLY)

    @wraps(command)
    def expanded(**options: Any) -> int:
        made = {name: hints[name](**{key: options.pop(key) for key in keys}) for name, keys in groups.items()}
        return command(**options, **made)

    del expanded.__wrapped__  # or its signature would be looked at
    expanded.__signature__ = Signature(list(parameters.values()))  # type: ignore[attr-defined]
    expanded.__annotations__ = {name: parameter.annotation for name, parameter in parameters.items()}
    return expanded


def _fields_as_parameters(group: type) -> dict[str, Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return {
        field.name: Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name])
        for field in fields(group)
        if field.init
    }
