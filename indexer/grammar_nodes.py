"""Which nodes of each tree-sitter grammar are definitions, of which kind, and where is their name?

Covers: what can be said of a grammar by naming nodes, as one table, and the kinds. Leaves out: definitions that a
node's type alone doesn't tell, and the queries made of both (``grammar_queries``).

The kinds:

    function method class struct union enum interface trait impl object extension type module macro property constant
    message service table rule block    and, from ``prose``, section

``function`` becomes ``method`` inside a class-like definition. A ``constant`` is only a name (``Chunk.defines``) and is
never a reason to cut. Namespaces and packages aren't definitions: they hold files together, nobody looks for them.
"""

KIND_CONSTANT = "constant"
CLASS_LIKE = frozenset({"class", "struct", "union", "enum", "interface", "trait", "impl", "object", "extension"})
"""In these a function is a method."""
NAMELESS = frozenset({"impl", "extension"})
"""These qualify the symbols inside them but define no name of their own."""

# Grammar -> kind: nodes. A node's name is its field `name`; `node.field` another field, `node>child` a child without
# field, `outer/inner` a name below an inner node. Of two rules for one name the later decides the kind.
# fmt: off
NODES = {
    "actionscript":
        "class: class_declaration; interface: interface_declaration; function: method_declaration "
        "function_declaration",
    "ada":
        "module: package_declaration; function: subprogram_body/function_specification "
        "subprogram_body/procedure_specification; type: full_type_declaration>identifier",
    "apex":
        "class: class_declaration; interface: interface_declaration; enum: enum_declaration; function: "
        "method_declaration constructor_declaration trigger_declaration",
    "bash": "constant: program/variable_assignment; function: function_definition",
    "bicep": "function: user_defined_function",
    "bitbake": "function: function_definition>identifier python_function_definition",
    "c":
        "constant: preproc_def; macro: preproc_function_def; function: function_definition.declarator; type: "
        "type_definition.declarator",
    "capnp": "struct: struct>type_identifier; interface: interface>type_identifier; enum: enum>enum_identifier",
    "cmake":
        "function: function_def/function_command/argument_list/argument>unquoted_argument; macro: "
        "macro_def/macro_command/argument_list/argument>unquoted_argument",
    "commonlisp": "function: list_lit/defun/defun_header.function_name",
    "csharp":
        "property: property_declaration; type: delegate_declaration; class: class_declaration record_declaration; "
        "struct: struct_declaration; enum: enum_declaration; interface: interface_declaration; function: "
        "method_declaration constructor_declaration destructor_declaration local_function_statement",
    "d":
        "class: class_declaration>identifier; struct: struct_declaration>identifier; interface: "
        "interface_declaration>identifier; enum: enum_declaration>identifier; function: "
        "function_declaration>identifier",
    "dart":
        "class: class_definition mixin_declaration>identifier; extension: extension_declaration; enum: "
        "enum_declaration; type: type_alias>type_identifier",
    "elisp": "function: function_definition; macro: macro_definition",
    "elm":
        "function: value_declaration/function_declaration_left>lower_case_identifier; type: type_declaration "
        "type_alias_declaration",
    "erlang": "type: type_alias/type_name; struct: record_decl; function: fun_decl/function_clause",
    "fish": "function: function_definition",
    "fortran":
        "function: subroutine/subroutine_statement function/function_statement; module: module/module_statement>name; "
        "type: derived_type_definition/derived_type_statement>type_name",
    "fsharp":
        "module: named_module.name module_defn>identifier; function: "
        "function_or_value_defn/function_declaration_left>identifier; type: "
        "type_definition/record_type_defn/type_name>identifier",
    "gdscript":
        "constant: const_statement; class: class_definition; enum: enum_definition; function: function_definition",
    "gleam": "function: function; type: type_definition/type_name",
    "glsl": "macro: preproc_function_def; function: function_definition.declarator; struct: struct_specifier",
    "go":
        "constant: const_declaration/const_spec source_file/var_declaration/var_spec; type: type_spec type_alias; "
        "function: function_declaration method_declaration",
    "graphql":
        "type: object_type_definition>name input_object_type_definition>name union_type_definition>name "
        "scalar_type_definition>name; enum: enum_type_definition>name; interface: interface_type_definition>name; "
        "function: operation_definition>name fragment_definition>fragment_name directive_definition>name",
    "hare": "function: function_declaration",
    "haskell": "function: function bind; class: class; impl: instance; type: data_type newtype type_synomym",
    "haxe":
        "class: class_declaration; interface: interface_declaration; type: typedef_declaration; function: "
        "function_declaration",
    "java":
        "function: method_declaration constructor_declaration compact_constructor_declaration; class: "
        "class_declaration record_declaration; interface: interface_declaration annotation_type_declaration; enum: "
        "enum_declaration",
    "javascript":
        "function: function_declaration generator_function_declaration method_definition; class: class_declaration",
    "julia":
        "function: function_definition/signature/call_expression>identifier assignment/call_expression>identifier; "
        "struct: struct_definition/type_head>identifier; type: abstract_definition/type_head>identifier; module: "
        "module_definition; macro: macro_definition/signature/call_expression>identifier",
    "kotlin":
        "constant: source_file/property_declaration/variable_declaration>simple_identifier; type: "
        "type_alias>type_identifier; class: class_declaration>type_identifier; object: "
        "object_declaration>type_identifier; function: function_declaration>simple_identifier",
    "lua": "function: function_declaration",
    "make": "constant: makefile/variable_assignment; rule: rule/targets>word",
    "matlab": "function: function_definition; class: class_definition",
    "nim":
        "function: proc_declaration func_declaration method_declaration iterator_declaration converter_declaration; "
        "macro: macro_declaration template_declaration",
    "nix": "property: binding.attrpath",
    "objc":
        "constant: preproc_def; macro: preproc_function_def; type: type_definition.declarator; interface: "
        "class_interface>identifier protocol_declaration>identifier; class: class_implementation>identifier; "
        "function: function_definition.declarator method_definition>identifier",
    "ocaml":
        "function: value_definition/let_binding.pattern; module: module_definition/module_binding>module_name; type: "
        "type_definition/type_binding; class: class_definition/class_binding>class_name; method: method_definition",
    "odin":
        "function: procedure_declaration>identifier; struct: struct_declaration>identifier; enum: "
        "enum_declaration>identifier",
    "pascal": "function: defProc/declProc; class: declType",
    "perl": "function: subroutine_declaration_statement method_declaration_statement; class: class_statement",
    "php":
        "constant: const_declaration/const_element>name; function: function_definition method_declaration; class: "
        "class_declaration; interface: interface_declaration; trait: trait_declaration; enum: enum_declaration",
    "powershell":
        "function: function_statement>function_name class_method_definition>simple_name; class: "
        "class_statement>simple_name; enum: enum_statement>simple_name",
    "prisma": "message: model_block>identifier; enum: enum_block>identifier",
    "proto":
        "message: message/message_name>identifier; service: service/service_name>identifier; enum: "
        "enum/enum_name>identifier; function: rpc/rpc_name>identifier",
    "purescript": "function: function; class: class_declaration/class_head>class_name",
    "python":
        "function: function_definition decorated_definition/function_definition; class: class_definition "
        "decorated_definition/class_definition",
    "ruby": "function: method singleton_method; class: class; module: module",
    "rust":
        "constant: const_item static_item; function: function_item function_signature_item; struct: struct_item; "
        "union: union_item; enum: enum_item; trait: trait_item; impl: impl_item.type; module: mod_item; type: "
        "type_item; macro: macro_definition",
    "scala":
        "function: function_definition function_declaration; class: class_definition; object: object_definition; "
        "trait: trait_definition; enum: enum_definition; type: type_definition; constant: "
        "compilation_unit/val_definition.pattern",
    "scss": "function: mixin_statement function_statement",
    "solidity":
        "class: contract_declaration library_declaration; interface: interface_declaration; struct: "
        "struct_declaration; enum: enum_declaration; function: function_definition modifier_definition; type: "
        "event_definition error_declaration",
    "sql":
        "table: create_table/object_reference create_view/object_reference; function: "
        "create_function/object_reference",
    "starlark": "constant: module/expression_statement/assignment.left; function: function_definition",
    "swift":
        "constant: source_file/property_declaration/pattern.bound_identifier; class: class_declaration; interface: "
        "protocol_declaration; type: typealias_declaration>type_identifier; function: function_declaration "
        "protocol_function_declaration init_declaration macro_declaration",
    "tablegen": "class: class",
    "tcl": "function: procedure",
    "thrift":
        "struct: struct_definition>identifier exception_definition>identifier; enum: enum_definition>identifier; "
        "service: service_definition>identifier; function: function_definition>identifier",
    "typescript":
        "type: type_alias_declaration; interface: interface_declaration; enum: enum_declaration; class: "
        "abstract_class_declaration; function: function_signature abstract_method_signature",
    "v":
        "function: function_declaration; struct: struct_declaration; enum: enum_declaration; interface: "
        "interface_declaration",
    "verilog":
        "module: module_declaration/module_header>simple_identifier; function: "
        "function_declaration/function_body_declaration>function_identifier",
    "vhdl": "class: entity_declaration; module: package_declaration",
    "vim": "function: function_definition/function_declaration",
    "wgsl": "function: function_declaration; struct: struct_declaration",
    "zig": "function: Decl/FnProto.function",
}
# fmt: on

_CPP_NODES = (
    "type: alias_declaration concept_definition; class: template_declaration/class_specifier; "
    "function: template_declaration/function_definition.declarator"
)

# Grammars that extend another one.
NODES["cpp"] = NODES["c"] + "; " + _CPP_NODES
NODES["typescript"] = NODES["javascript"] + "; " + NODES["typescript"]
