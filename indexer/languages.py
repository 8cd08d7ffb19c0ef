"""Which language is a file in, by its name and, where the name doesn't say, by its first bytes?

Covers: 160 languages and formats, the tree-sitter grammar for each (names of tree-sitter-language-pack 0.13),
and whether a format holds code, prose, configuration or data. Leaves out: whether the file is indexed
(``selection``), how it is cut (``chunking``).

A name is looked up whole, then by its extension, then by its stem (``Dockerfile.dev``); where that finds nothing,
and where the name has no extension, the shebang of the first line decides. Five extensions that two languages share
are told apart by their first bytes; without them the more common language is assumed. None: unknown.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast

Kind = Literal["code", "docs", "config", "data"]


@dataclass(frozen=True, slots=True)
class Language:
    """A language or format. ``grammar`` names its tree-sitter grammar, None: cut by lines or paragraphs."""

    name: str
    grammar: str | None
    kind: Kind


HEAD_BYTES = 4096
"""As many first bytes of a file as ``language_of`` looks at."""

# name | grammar ("=" the same, "-" none) | kind | extensions | file names | interpreters
# An indented line continues its row. All in lower case: names are compared without regard to case.
_TABLE = """
actionscript | =            | code   | as
ada          | =            | code   | adb ads
apex         | =            | code   | apex trigger
arduino      | =            | code   | ino
asm          | =            | code   | asm s
astro        | =            | code   | astro
bash         | =            | code   | sh bash zsh ksh bats ebuild | .bashrc .bash_profile .bash_aliases .profile
    .zshrc .zshenv pkgbuild apkbuild gradlew | sh bash dash zsh ksh ash bats
batch        | -            | code   | bat cmd
bicep        | =            | code   | bicep
bitbake      | =            | code   | bb bbclass
c            | =            | code   | c h cl
capnp        | =            | code   | capnp
clojure      | =            | code   | clj cljs cljc edn | | bb clojure
cmake        | =            | code   | cmake | cmakelists.txt
cobol        | -            | code   | cob cbl cpy
coffeescript | -            | code   | coffee
commonlisp   | =            | code   | lisp lsp asd
cpp          | =            | code   | cc cpp cxx c++ hh hpp hxx h++ inl ipp tpp ixx cppm
crystal      | -            | code   | cr | | crystal
csharp       | =            | code   | cs csx
css          | =            | code   | css
cuda         | =            | code   | cu cuh
cython       | -            | code   | pyx pxd pxi
d            | =            | code   | d di
dart         | =            | code   | dart
dockerfile   | =            | config | dockerfile | dockerfile containerfile
elisp        | =            | code   | el | .emacs
elixir       | =            | code   | ex exs | | elixir
elm          | =            | code   | elm
erb          | embeddedtemplate | code | erb ejs
erlang       | =            | code   | erl hrl | rebar.config | escript
fennel       | =            | code   | fnl
fish         | =            | code   | fish | | fish
fortran      | =            | code   | f f90 f95 f03 f08 for
fsharp       | =            | code   | fs fsx
fsharp_signature | =        | code   | fsi
gdscript     | =            | code   | gd
gleam        | =            | code   | gleam
glsl         | =            | code   | glsl vert frag comp geom tesc tese
gn           | =            | config | gn gni
go           | =            | code   | go
gomod        | =            | config | | go.mod go.work
graphql      | =            | code   | graphql gql graphqls
groovy       | =            | code   | groovy gradle gvy | jenkinsfile | groovy
haml         | -            | code   | haml
handlebars   | -            | code   | hbs handlebars mustache
hare         | =            | code   | ha
haskell      | =            | code   | hs lhs | | runhaskell runghc
haxe         | =            | code   | hx
hcl          | =            | config | hcl nomad
heex         | =            | code   | heex
hlsl         | =            | code   | hlsl fx
html         | =            | code   | html htm xhtml
ini          | =            | config | ini cfg conf cnf desktop service timer socket mount target path slice |
    .editorconfig .gitconfig .npmrc .pylintrc .flake8 .coveragerc
janet        | =            | code   | janet
java         | =            | code   | java
javascript   | =            | code   | js jsx mjs cjs es6 | jakefile | node nodejs bun
jinja        | -            | code   | j2 jinja jinja2 liquid njk
jsonnet      | =            | code   | jsonnet libsonnet
julia        | =            | code   | jl | | julia
just         | -            | config | just | justfile .justfile
kconfig      | =            | config | | kconfig
kdl          | =            | config | kdl
kotlin       | =            | code   | kt kts | | kotlin
latex        | =            | docs   | tex sty ltx
less         | -            | code   | less
linkerscript | =            | code   | ld lds
lua          | =            | code   | lua rockspec | .luacheckrc | lua luajit
luau         | =            | code   | luau | | luau
make         | =            | config | mk mak make | makefile gnumakefile bsdmakefile makefile.am makefile.in | make
matlab       | =            | code   | mlx
meson        | =            | config | | meson.build meson_options.txt meson.options
mojo         | -            | code   | mojo
nim          | =            | code   | nim nims nimble | | nim
ninja        | =            | config | ninja
nix          | =            | code   | nix
objc         | =            | code   | m mm
ocaml        | =            | code   | ml mll mly | | ocaml
ocaml_interface | =         | code   | mli
odin         | =            | code   | odin
pascal       | =            | code   | pas dpr lpr
perl         | =            | code   | pl pm t psgi | cpanfile | perl
php          | =            | code   | php php3 php4 php5 phtml phps | | php
pony         | =            | code   | pony
powershell   | =            | code   | ps1 psm1 psd1 | | pwsh powershell
prisma       | =            | code   | prisma
prolog       | -            | code   | prolog | | swipl
properties   | =            | config | properties
proto        | =            | code   | proto
pug          | -            | code   | pug jade
puppet       | =            | code   | pp epp
purescript   | =            | code   | purs
python       | =            | code   | py pyi pyw py3 wsgi gyp gypi | .pythonrc sconstruct sconscript wscript |
    python python2 python3 pypy pypy3 uv
qml          | qmljs        | code   | qml
r            | =            | code   | r | .rprofile | rscript
racket       | =            | code   | rkt rktl | | racket
raku         | -            | code   | raku rakumod p6 pm6 | | raku
reason       | -            | code   | re rei res resi
rego         | =            | code   | rego
requirements | =            | config | | requirements.txt constraints.txt
ruby         | =            | code   | rb rake gemspec ru rbi podspec thor jbuilder | gemfile rakefile guardfile
    capfile vagrantfile podfile brewfile fastfile dangerfile | ruby jruby rake
rust         | =            | code   | rs | | rust-script
sass         | -            | code   | sass
scala        | =            | code   | scala sc sbt | | scala amm
scheme       | =            | code   | scm ss sld sls | | guile
scss         | =            | code   | scss
slim         | -            | code   | slim
smithy       | =            | code   | smithy
solidity     | =            | code   | sol
sparql       | =            | code   | sparql rq
sql          | =            | code   | sql ddl dml pgsql plsql psql
starlark     | =            | code   | bzl bazel star | build workspace build.bazel workspace.bazel module.bazel
    tiltfile
stylus       | -            | code   | styl
svelte       | =            | code   | svelte
swift        | =            | code   | swift swiftinterface | | swift
tablegen     | =            | code   | td
tcl          | =            | code   | tcl tk | | tclsh wish expect
terraform    | =            | config | tf tfvars tofu
thrift       | =            | code   | thrift
toml         | =            | config | toml | pipfile
tsx          | =            | code   | tsx
twig         | =            | code   | twig
typescript   | =            | code   | ts mts cts | | deno tsx ts-node
v            | =            | code   | vsh vv
verilog      | =            | code   | v sv svh vh
vhdl         | =            | code   | vhd vhdl
vim          | =            | code   | vim vimrc | .vimrc .gvimrc vimrc _vimrc
visualbasic  | -            | code   | vb vbs bas
vue          | =            | code   | vue
wat          | =            | code   | wat
wgsl         | =            | code   | wgsl
yaml         | =            | config | yaml yml | .clang-format .clang-tidy
yuck         | =            | config | yuck
zig          | =            | code   | zig
env          | -            | config | | .env.example .env.sample .env.template .env.dist
gitignore    | -            | config | gitignore dockerignore npmignore | .gitignore .gitattributes .gitmodules
    .dockerignore .npmignore .eslintignore .prettierignore codeowners
procfile     | -            | config | | procfile
caddyfile    | -            | config | | caddyfile
autoconf     | -            | config | ac m4 | configure.ac configure.in

markdown     | -            | docs   | md markdown mdown mkd mdx qmd rmd
rst          | -            | docs   | rst rest
asciidoc     | -            | docs   | adoc asciidoc asc
org          | -            | docs   | org
typst        | =            | docs   | typ
text         | -            | docs   | txt text | readme changelog changes news contributing authors install hacking
    todo history notes maintainers
man          | -            | docs   | man mdoc roff
pod          | -            | docs   | pod
textile      | -            | docs   | textile

jsonmanifest | json         | config | | package.json tsconfig.json jsconfig.json composer.json deno.json deno.jsonc
    bower.json lerna.json nx.json turbo.json angular.json vercel.json firebase.json now.json biome.json biome.jsonc
    renovate.json .eslintrc.json .prettierrc.json .babelrc .babelrc.json .eslintrc .prettierrc .swcrc .jshintrc
    nodemon.json tslint.json project.json global.json vcpkg.json cmakepresets.json devcontainer.json app.json
    elm.json dub.json
xmlmanifest  | xml          | config | csproj fsproj vbproj vcxproj props targets nuspec xaml axaml | pom.xml
    androidmanifest.xml build.xml ivy.xml web.config app.config nuget.config packages.config package.xml plugin.xml
    web.xml

json         | =            | data   | json jsonc json5 jsonl ndjson geojson topojson webmanifest map har avsc jsonld
csv          | -            | data   | csv
tsv          | -            | data   | tsv tab psv
xml          | =            | data   | xml xsd xsl xslt rss atom kml gpx resx xlf xliff wsdl plist storyboard xib ui
    iml rng
svg          | -            | data   | svg
gettext      | -            | data   | po pot
notebook     | -            | data   | ipynb
lock         | -            | data   | lock lockb sum | package-lock.json npm-shrinkwrap.json pnpm-lock.yaml
    pnpm-lock.yml packages.lock.json go.sum go.work.sum .terraform.lock.hcl package.resolved podfile.lock
    gradle.lockfile
patch        | -            | data   | patch diff rej
log          | -            | data   | log out
subtitles    | -            | data   | srt vtt
bibtex       | -            | data   | bib
certificate  | -            | data   | crt csr
testoutput   | -            | data   | snap ambr cassette
dataset      | -            | data   | dat arff vcf fasta fa fastq pdb obj stl ply mtl sgf pgn ics eml
"""

_ENV = rb"(?:/usr/bin/env\s+(?:-\S+\s+)*(?:\w+=\S*\s+)*)?"
_SHEBANG = re.compile(rb"#!\s*" + _ENV + rb"(?:\S*/)?([A-Za-z][A-Za-z+-]*)[\d.]*(?:\s|$)")
_CPP_HEADER = re.compile(
    rb"^[ \t]*(?:class\s+\w|namespace\s+\w|template\s*<|using\s+\w|(?:public|private|protected)\s*:)|\bstd::|"
    rb"#\s*include\s*<(?:string|vector|map|memory|cstd\w+|iostream|functional|algorithm|utility|type_traits)>",
    re.MULTILINE,
)
_OBJC = re.compile(rb"^[ \t]*(?:@(?:interface|protocol|class|implementation|import)\b|#import\b)", re.MULTILINE)
_MATLAB = re.compile(rb"^[ \t]*(?:%|function\b|classdef\b|clear\b|clc\b|close all\b)", re.MULTILINE)
_PROLOG = re.compile(rb"^[ \t]*(?::-\s*\w|%)", re.MULTILINE)
_V = re.compile(rb"^[ \t]*(?:module\s+\w+\s*$|(?:pub\s+)?fn\s+\w|import\s+\w+\s*$)", re.MULTILINE)


def _rows() -> Iterator[tuple[Language, list[list[bytes]]]]:
    for line in filter(None, re.sub(r"\n +", " ", _TABLE).splitlines()):
        name, grammar, kind, *keys = [cell.strip() for cell in line.split("|")]
        grammar = name if grammar == "=" else grammar
        language = Language(name, None if grammar == "-" else grammar, cast(Kind, kind))
        yield language, [cell.encode().split() for cell in (*keys, "", "")[:3]]


_BY_EXTENSION: dict[bytes, Language] = {}
_BY_NAME: dict[bytes, Language] = {}
_BY_INTERPRETER: dict[bytes, Language] = {}
LANGUAGES: dict[str, Language] = {}
"""Every language by its name."""

for _language, _keys in _rows():
    LANGUAGES[_language.name] = _language
    for _table, _found in zip((_BY_EXTENSION, _BY_NAME, _BY_INTERPRETER), _keys, strict=True):
        _table.update(dict.fromkeys(_found, _language))

_AMBIGUOUS: dict[bytes, tuple[tuple[re.Pattern[bytes], str], ...]] = {
    b"h": ((_OBJC, "objc"), (_CPP_HEADER, "cpp")),
    b"m": ((_OBJC, "objc"), (_MATLAB, "matlab")),
    b"pl": ((_PROLOG, "prolog"),),
    b"ts": ((re.compile(rb"\A\s*<(?:\?xml|!DOCTYPE TS)"), "xml"),),
    b"v": ((_V, "v"),),
}


def language_of(relpath: bytes, head: bytes = b"") -> Language | None:
    """The language of the file at ``relpath`` ("/" separators) whose first bytes are ``head``; None: unknown.

    Only the first ``HEAD_BYTES`` of ``head`` are looked at. Without ``head``, files without a known name are unknown
    though a shebang might tell.
    """
    name = relpath.rpartition(b"/")[2].lower()
    head = head[:HEAD_BYTES]
    if b"." not in name and (found := _by_shebang(head)):  # a script called `build` or `install`
        return found
    return _BY_NAME.get(name) or _by_extension(name, head) or _by_stem(name) or _by_shebang(head)


def _by_extension(name: bytes, head: bytes) -> Language | None:
    stem, _, extension = name.rpartition(b".")
    if not stem:
        return None
    if extension == b"json" and stem.startswith((b"tsconfig.", b"jsconfig.")):
        return LANGUAGES["jsonmanifest"]
    if extension == b"txt" and stem.startswith((b"requirements-", b"requirements_")):
        return LANGUAGES["requirements"]
    for pattern, other in _AMBIGUOUS.get(extension, ()):
        if pattern.search(head):
            return LANGUAGES[other]
    return _BY_EXTENSION.get(extension)


def _by_stem(name: bytes) -> Language | None:
    stem = name.partition(b".")[0]
    return _BY_NAME.get(stem) if stem in _STEMS else None


def _by_shebang(head: bytes) -> Language | None:
    found = _SHEBANG.match(head)
    return _BY_INTERPRETER.get(found[1].lower()) if found else None


# Known names that people extend: Dockerfile.dev, Jenkinsfile.release, README.de.
_STEMS = frozenset(b"dockerfile containerfile makefile jenkinsfile vagrantfile readme changelog".split())
