"""Tools made from Python functions: a schema from signature and docstring, and calls with a model's arguments."""

import dataclasses
import functools
import inspect
import json
import math
import re
import types
import typing
import warnings
from collections.abc import Callable
from typing import Any, Literal

import docstring_parser
import pydantic
from pydantic import ConfigDict, Field
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, PydanticJsonSchemaWarning

from gpt_from_scratch.evals.function_calling.strict_schema import Dialect, NotExpressible, to_strict
from gpt_from_scratch.evals.protocol.deadline import bound_of
from gpt_from_scratch.evals.protocol.messages import without_surrogates

Strict = bool | Literal["auto"]
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NO_DEFAULT = inspect.Parameter.empty


class UnsupportedToolError(ValueError):
    """A function cannot be offered to a model; the message says why and what to change."""


@dataclasses.dataclass(frozen=True)
class ToolSchema:
    """The schema of a function for a vendor; `strict` says whether `parameters` is in the vendor's strict subset."""

    name: str
    description: str
    parameters: dict[str, Any]
    strict: bool


class FunctionTool:
    """A function, what a model is told about it, and the check of what a model sends for it.

    func: a function, a method or a `functools.partial` of one. Arguments that a partial has bound are not shown to the
        model. Every other parameter needs a type that JSON can carry; descriptions come from the docstring, or from
        `Annotated[T, Field(description=...)]`.
    validation: "lax" accepts "3" for 3, as models write it now and then; "strict" does not
    timeout: seconds that a call may take; None takes the handler's

    Raises:
        UnsupportedToolError: a parameter without a type, `*args` or `**kwargs`, or a type without a JSON form.
        ValueError: `timeout` is no number above 0.
    """

    def __init__(
        self,
        func: Callable[..., Any],
        *,
        validation: Literal["lax", "strict"] = "lax",
        timeout: float | None = None,
    ) -> None:
        self.func = func
        self.timeout = bound_of(timeout)
        self._inner = func.func if isinstance(func, functools.partial) else func
        self.name = getattr(self._inner, "__name__", type(self._inner).__name__)
        if not _NAME.fullmatch(self.name):
            raise UnsupportedToolError(
                f"{self.name!r} is no name for a tool: use 1 to 64 letters, digits, _ or -. Define a function with such "
                f"a name instead."
            )
        self.description, described = _docstring(self._inner)
        self._parameters = self._open_parameters()
        self._hints = self._read_hints()
        self._model = self._make_model(described, validation)
        self._accepts_null = {name: self._takes_none(name) for name in self._parameters}

    def lax_schema(self) -> dict[str, Any]:
        """The parameters as JSON schema, defaults and all."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PydanticJsonSchemaWarning)  # a default that JSON cannot carry is left out
            schema = self._model.model_json_schema(by_alias=True, schema_generator=_NoTitles)
        schema.pop("description", None)
        return typing.cast(dict[str, Any], _without_what_json_lacks(schema))

    def schema(self, strict: Strict, dialect: Dialect) -> ToolSchema:
        """The schema for the vendor.

        strict: True demands the strict subset; "auto" takes it where it can express the function and warns where it
            cannot; False never does.

        Raises:
            UnsupportedToolError: `strict` is True and the subset cannot express the function.
        """
        lax = self.lax_schema()
        if strict is False:
            return ToolSchema(self.name, self.description, lax, strict=False)
        try:
            nullable = {name for name in self._optional() if not self._accepts_null[name]}
            parameters = to_strict(lax, dialect, optional=self._optional(), nullable=nullable)
            return ToolSchema(self.name, self.description, parameters, strict=True)
        except NotExpressible as error:
            reason = f"tool {self.name!r} cannot be strict: {error}"
            if strict is True:
                raise UnsupportedToolError(f"{reason}. Change the type, or say strict=False.") from error
            warnings.warn(f"{reason}; it is offered with an ordinary schema", stacklevel=3)
            return ToolSchema(self.name, self.description, lax, strict=False)

    def bind(self, arguments: Any, *, null_means_default: bool) -> tuple[list[Any], dict[str, Any]]:
        """Check a model's arguments and turn them into Python's: (positional, by keyword).

        null_means_default: the model was shown the strict schema, in which an optional parameter is a nullable one

        Raises:
            pydantic.ValidationError: the arguments do not fit the schema.
        """
        if null_means_default and isinstance(arguments, dict):
            leave_out = {name for name in self._optional() if not self._accepts_null[name]}
            arguments = {k: v for k, v in arguments.items() if v is not None or k not in leave_out}
        # As JSON, so that strict validation still reads a date from a string and an enum from its value.
        checked = self._model.model_validate_json(json.dumps(arguments))
        given = {name: getattr(checked, field) for field, name in self._fields() if field in checked.model_fields_set}
        by_position = [n for n, p in self._parameters.items() if p.kind is inspect.Parameter.POSITIONAL_ONLY]
        while by_position and by_position[-1] not in given:
            by_position.pop()
        # One left out before one that is given would shift it, so its default is passed.
        positional = [given.pop(name, self._parameters[name].default) for name in by_position]
        return positional, given

    def _fields(self) -> list[tuple[str, str]]:
        """Field name and parameter name. Fields are p0, p1 ... since a model may not have one called `schema` or `_x`."""
        return [(f"p{i}", name) for i, name in enumerate(self._parameters)]

    def _optional(self) -> set[str]:
        return {name for name, parameter in self._parameters.items() if parameter.default is not _NO_DEFAULT}

    def _takes_none(self, name: str) -> bool:
        try:
            pydantic.TypeAdapter[Any](self._hints[name]).validate_python(None)
        except Exception:  # a ValidationError, or whatever a validator of the user's own does with None
            return False
        return True

    def _open_parameters(self) -> dict[str, inspect.Parameter]:
        """The parameters that are left to the model, in order."""
        try:
            parameters = dict(inspect.signature(self._inner).parameters)
        except (TypeError, ValueError) as error:
            raise UnsupportedToolError(f"tool {self.name!r} has no signature that Python can read: {error}") from error
        if isinstance(self.func, functools.partial):
            bound = list(parameters)[: len(self.func.args)] + list(self.func.keywords)
            parameters = {name: parameter for name, parameter in parameters.items() if name not in bound}
        for parameter in parameters.values():
            if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
                raise UnsupportedToolError(
                    f"tool {self.name!r}: a model cannot be told what *args or **kwargs take; name every parameter "
                    f"instead of {parameter}"
                )
        return parameters

    def _read_hints(self) -> dict[str, Any]:
        """The types of the open parameters; those that are bound may be types that only a type checker can resolve."""
        source = _where_hints_are(self._inner)
        annotations = {
            name: hint for name, hint in getattr(source, "__annotations__", {}).items() if name in self._parameters
        }
        holder = types.SimpleNamespace(__annotations__=annotations)
        try:
            return typing.get_type_hints(holder, globalns=getattr(source, "__globals__", {}), include_extras=True)
        except Exception as error:  # an annotation that is a text is evaluated, and may raise anything
            raise UnsupportedToolError(
                f"tool {self.name!r}: {_in_one_line(error)}; import the type where Python can find it"
            ) from error

    def _make_model(self, described: dict[str, str], validation: str) -> type[pydantic.BaseModel]:
        fields: dict[str, Any] = {}
        for field, name in self._fields():
            if name not in self._hints:
                raise UnsupportedToolError(f"tool {self.name!r}: parameter {name!r} has no type; write {name}: str")
            hint, default = self._hints[name], self._parameters[name].default
            self._check_type(name, hint)
            description = _annotated_description(hint) or described.get(name)
            more: dict[str, Any] = {"alias": name}
            if description and not _has_description(hint):
                more["description"] = without_surrogates(description)
            fields[field] = (hint, Field(... if default is _NO_DEFAULT else default, **more))
        config = ConfigDict(extra="forbid", strict=validation == "strict", arbitrary_types_allowed=False)
        try:
            model: type[pydantic.BaseModel] = pydantic.create_model(self.name, __config__=config, **fields)
            _without_what_json_lacks(model.model_json_schema(schema_generator=_Quiet))
        except Exception as error:  # see _check_type, which names the parameter where it can
            raise UnsupportedToolError(
                f"tool {self.name!r} has parameters that no schema can be made of: {_in_one_line(error)}. {_REMEDY}"
            ) from error
        return model

    def _check_type(self, name: str, hint: Any) -> None:
        """Raise UnsupportedToolError where a parameter's type has no JSON schema."""
        try:
            _without_what_json_lacks(pydantic.TypeAdapter[Any](hint).json_schema(schema_generator=_Quiet))
        except Exception as error:  # pydantic, its extras and the types' own hooks raise errors of a dozen kinds
            remedy = _REMEDY
            if isinstance(error, pydantic.PydanticUserError) and error.code == "typed-dict-version":
                remedy = "Import TypedDict from typing_extensions: typing's cannot be read before Python 3.12."
            raise UnsupportedToolError(
                f"tool {self.name!r} has a parameter {name!r} whose type JSON cannot carry: {_in_one_line(error)}. {remedy}"
            ) from error


def python_type_to_json_schema(python_type: Any) -> dict[str, Any]:
    """The JSON schema of a type, as a parameter of that type would have it.

    Raises:
        UnsupportedToolError: the type has no JSON schema.
    """
    try:
        schema = pydantic.TypeAdapter[Any](python_type).json_schema(schema_generator=_NoTitles)
        return typing.cast(dict[str, Any], _without_what_json_lacks(schema))
    except Exception as error:  # pydantic, its extras and the types' own hooks raise errors of a dozen kinds
        raise UnsupportedToolError(f"{python_type!r} has no JSON schema: {_in_one_line(error)}") from error


_REMEDY = "Bind it with functools.partial, or take a str, int, list, dataclass or pydantic model."


def _in_one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    text = " ".join(line for line in lines if line and not line.startswith("For further information"))
    return (text if isinstance(error, NameError) else f"{type(error).__name__}: {text}")[:250].rstrip(".")


def _docstring(func: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """Description of a function and of its parameters, from its docstring."""
    text = without_surrogates(inspect.getdoc(func) or "")
    try:
        parsed = docstring_parser.parse(text)
    except docstring_parser.ParseError:  # in no known style: all of it is about the function
        return text, {}
    about = "\n\n".join(filter(None, (parsed.short_description, parsed.long_description)))
    return about, {parameter.arg_name: parameter.description or "" for parameter in parsed.params}


class _Quiet(GenerateJsonSchema):
    ignored_warning_kinds: typing.ClassVar[set[Any]] = {"skipped-choice", "non-serializable-default"}  # type: ignore[misc]

    def is_subclass_schema(self, schema: Any) -> dict[str, Any]:
        return self.handle_invalid_for_json_schema(schema, f"a class ({schema['cls'].__name__})")

    def enum_schema(self, schema: Any) -> dict[str, Any]:
        if not schema["members"]:
            return self.handle_invalid_for_json_schema(schema, "an enum without members")
        return super().enum_schema(schema)


class _NoTitles(_Quiet):
    """Titles repeat the names that are there already."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def generate(self, schema: Any, mode: Any = "validation") -> dict[str, Any]:
        return typing.cast(dict[str, Any], _without_titles(super().generate(schema, mode)))


def _without_titles(node: Any, *, names: bool = False) -> Any:
    """Drop the keyword `title`; inside `properties` and `$defs` (`names`) a key is a name, and stays."""
    if isinstance(node, dict):
        return {
            key: _without_titles(value, names=not names and key in ("properties", "$defs"))
            for key, value in node.items()
            if names or key != "title" or not isinstance(value, str)
        }
    return [_without_titles(item) for item in node] if isinstance(node, list) else node


def _where_hints_are(func: Callable[..., Any]) -> Any:
    """The object that carries the annotations: a callable object's are on its class's `__call__`."""
    plain = (types.FunctionType, types.MethodType, types.BuiltinFunctionType)
    unwrapped = inspect.unwrap(func)
    return unwrapped if isinstance(unwrapped, plain) else type(unwrapped).__call__


def _has_description(hint: Any) -> bool:
    return typing.get_origin(hint) is typing.Annotated and any(
        isinstance(extra, FieldInfo) and extra.description for extra in hint.__metadata__
    )


def _annotated_description(hint: Any) -> str:
    """The words of `Annotated[str, "The city"]`, or of `Doc` (PEP 727)."""
    if typing.get_origin(hint) is typing.Annotated:
        for extra in hint.__metadata__:
            words = extra if isinstance(extra, str) else getattr(extra, "documentation", None)
            if isinstance(words, str):
                return words
    return ""


def _without_what_json_lacks(node: Any, *, names: bool = False) -> Any:
    """A schema without infinite bounds and without defaults that JSON has no form for; `names` as in `_without_titles`.

    Raises:
        ValueError: a value that the schema cannot do without is infinite or NaN.
    """
    if isinstance(node, dict):
        return {
            key: _without_what_json_lacks(value, names=not names and key in ("properties", "$defs"))
            for key, value in node.items()
            if names or key not in _MAY_GO or not _lacks_json(value)
        }
    if isinstance(node, list):
        return [_without_what_json_lacks(item) for item in node]
    if isinstance(node, float) and not math.isfinite(node):
        raise ValueError(f"JSON has no number {node}")
    return without_surrogates(node) if isinstance(node, str) else node


_MAY_GO = {"default", "examples", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}


def _lacks_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except ValueError:  # NaN, infinity, or half a surrogate pair
        return True
    return False
