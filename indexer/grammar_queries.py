"""Which query finds all definitions of a tree-sitter grammar?

Covers: what a node's type alone doesn't tell (a constant that holds a function, a call named ``defmodule``), as queries
written by hand, and one query a grammar out of those and the table of nodes (``grammar_nodes``). Leaves out: running it
(``chunking``).

A query's captures: ``@name``; the whole definition, named by its kind; ``@end``, a sibling that belongs to it (a body
beside its signature); ``@owner``, the type it is a method of where that isn't the enclosing definition (Go);
``@is.A.B``, a node whose text has to be A or B.
"""

import re

from ctx42d.indexer.grammar_nodes import KIND_CONSTANT, NODES

_C_TYPES = """
(struct_specifier name: (_) @name body: (_)) @struct
(union_specifier name: (_) @name body: (_)) @union
(enum_specifier name: (_) @name body: (_)) @enum
"""

_JS_VALUES = """
(program [(lexical_declaration (variable_declarator name: (identifier) @name) @constant)
  (export_statement declaration: (lexical_declaration (variable_declarator name: (identifier) @name) @constant))])
(export_statement declaration: (class_declaration name: (_) @name)) @class
(variable_declarator name: (identifier) @name
  value: [(arrow_function) (function_expression) (generator_function)]) @function
(variable_declarator name: (identifier) @name value: (class)) @class
(pair key: (property_identifier) @name value: [(arrow_function) (function_expression) (generator_function)]) @function
(assignment_expression left: [(identifier) @name (member_expression property: (property_identifier) @name)]
  right: [(arrow_function) (function_expression) (generator_function)]) @function
(assignment_expression left: [(identifier) @name (member_expression property: (property_identifier) @name)]
  right: (class)) @class
(assignment_expression
  left: (member_expression
    object: (member_expression object: (identifier) @owner property: (property_identifier) @is.prototype)
    property: (property_identifier) @name)
  right: (function_expression)) @method
"""

_TS_VALUES = """
(export_statement declaration: (abstract_class_declaration name: (_) @name)) @class
(public_field_definition name: (_) @name value: [(arrow_function) (function_expression)]) @method
"""

_BLOCKS = """
(block (string_lit (template_literal) @name) . (block_start)) @block
"""

_LISP = """
(list . (symbol) @is.define.define-syntax.define-record-type.define-values.define-macro.define-struct.defn
  . [(symbol) @name (list . (symbol) @name)]) @function
"""

_QUERIES = {
    "python": "(module (assignment left: (identifier) @name) @constant)",
    "c": _C_TYPES,
    "objc": _C_TYPES,
    "cpp": _C_TYPES + "(class_specifier name: (_) @name body: (_)) @class",
    "javascript": _JS_VALUES
    + "(field_definition property: (_) @name value: [(arrow_function) (function_expression)]) @method",
    "typescript": _JS_VALUES + _TS_VALUES,
    "go": """
(type_spec name: (_) @name type: (struct_type)) @struct
(type_spec name: (_) @name type: (interface_type)) @interface
(method_declaration receiver: (parameter_list (parameter_declaration type: (_) @owner)) name: (_) @name) @method
""",
    "kotlin": """
(class_declaration "interface" (type_identifier) @name) @interface
(class_declaration "enum" (type_identifier) @name) @enum
""",
    "swift": """
(class_declaration declaration_kind: "struct" name: (_) @name) @struct
(class_declaration declaration_kind: "enum" name: (_) @name) @enum
(class_declaration declaration_kind: "extension" name: (_) @name) @extension
""",
    "ruby": """
(program (assignment left: (constant) @name) @constant)
(class (body_statement (assignment left: (constant) @name) @constant))
(module (body_statement (assignment left: (constant) @name) @constant))
(assignment left: (constant) @name right: (call block: (_))) @class
""",
    "php": """
(assignment_expression left: (variable_name (name) @name) right: [(anonymous_function) (arrow_function)]) @function
""",
    "dart": """
(_ (method_signature (_ name: (_) @name)) @function . (function_body) @end)
(program (function_signature name: (_) @name) @function . (function_body) @end)
""",
    "lua": """
(assignment_statement (variable_list name: (_) @name) (expression_list value: (function_definition))) @function
""",
    "r": "(binary_operator lhs: (identifier) @name rhs: (function_definition)) @function",
    "zig": """
(Decl (VarDecl variable_type_function: (_) @name (ErrorUnionExpr (SuffixExpr (ContainerDecl))))) @struct
""",
    "elixir": """
(call target: (identifier) @is.defmodule.defprotocol.defimpl (arguments . (alias) @name)) @module
(call target: (identifier) @is.def.defp.defmacro.defmacrop.defguard.defguardp.defdelegate
  (arguments . [(call target: (identifier) @name) (identifier) @name
    (binary_operator left: (call target: (identifier) @name))])) @function
""",
    "clojure": """
(list_lit . (sym_lit name: (_) @is.def.defn.defn-.defmacro.defmulti.defmethod.defonce.deftest)
  . (sym_lit name: (_) @name)) @function
(list_lit . (sym_lit name: (_) @is.defprotocol.defrecord.deftype.definterface) . (sym_lit name: (_) @name)) @class
""",
    "hcl": _BLOCKS,
    "terraform": _BLOCKS,
    "scheme": _LISP,
    "racket": _LISP,
}

# Grammars whose definitions look as those of another one.
_INSTEAD = {"tsx": "typescript", "luau": "lua", "cuda": "cpp", "arduino": "cpp", "hlsl": "cpp"}

_RULE = re.compile(r"([\w/]+)(?:([.>])(\w+))?")


def query_of(grammar: str) -> str:
    """The tree-sitter query that captures the definitions of ``grammar``; empty: none are known."""
    grammar = _INSTEAD.get(grammar, grammar)
    groups = (group.partition(":") for group in NODES.get(grammar, "").split(";"))
    patterns = [_pattern(kind.strip(), rule) for kind, _, rules in groups for rule in rules.split()]
    return "\n".join([*patterns, _QUERIES.get(grammar, "")]).strip()


def _pattern(kind: str, rule: str) -> str:
    found = _RULE.fullmatch(rule)
    assert found, rule
    path, mark, leaf = found.groups()
    *outer, inner = path.split("/")
    name = f"({leaf}) @name" if mark == ">" else f"{leaf or 'name'}: _ @name"
    pattern = f"({inner} {name})"
    if kind == KIND_CONSTANT:  # its outer nodes only say where it counts
        pattern, kind = f"{pattern} @{kind}", ""
    for node in reversed(outer):
        pattern = f"({node} {pattern})"
    return f"{pattern} @{kind}" if kind else pattern
