"""Which languages and formats are there, and which names do their files have?

Covers: 160 of them, with the tree-sitter grammar for each (names of tree-sitter-language-pack 0.13), whether it holds
code, prose, configuration or data, and the extensions, file names and interpreters that tell it. Leaves out: which of
them a file is in (``languages``).
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


def _rows() -> Iterator[tuple[Language, list[list[bytes]]]]:
    for line in filter(None, re.sub(r"\n +", " ", _TABLE).splitlines()):
        name, grammar, kind, *keys = [cell.strip() for cell in line.split("|")]
        grammar = name if grammar == "=" else grammar
        language = Language(name, None if grammar == "-" else grammar, cast(Kind, kind))
        yield language, [cell.encode().split() for cell in (*keys, "", "")[:3]]


LANGUAGES: dict[str, Language] = {}
"""Every language by its name."""
BY_EXTENSION: dict[bytes, Language] = {}
BY_NAME: dict[bytes, Language] = {}
BY_INTERPRETER: dict[bytes, Language] = {}
"""What tells a language, in lower case; an extension is without its dot."""

for _language, _keys in _rows():
    LANGUAGES[_language.name] = _language
    for _table, _found in zip((BY_EXTENSION, BY_NAME, BY_INTERPRETER), _keys, strict=True):
        _table.update(dict.fromkeys(_found, _language))
