"""Colours and measures of the report's page, light and dark."""

STYLE = """
:root{--paper:#f6f7f8;--card:#fff;--ink:#1c2128;--soft:#66707c;--rule:#e3e6ea;--accent:#2f6fde;--second:#8bb4f5;
--good:#1a7f4b;--fair:#a86a10;--bad:#c5362b}
@media (prefers-color-scheme:dark){:root{--paper:#12151a;--card:#1b2027;--ink:#e7eaee;--soft:#98a2ae;--rule:#2d343d;
--accent:#6ea8fe;--second:#35557f;--good:#4cc38a;--fair:#e2b155;--bad:#ff8078}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,"Noto Sans","DejaVu Sans",sans-serif}
main{max-width:1040px;margin:0 auto;padding:32px 20px 48px}
h1{font-size:24px;margin:0;letter-spacing:-.01em}
h2{font-size:15px;margin:0 0 2px}
header p{margin:4px 0 0}
.muted,small,footer{color:var(--soft);font-size:13px}
.muted{margin:0 0 10px}
.state{font-size:13px;font-weight:600;
vertical-align:3px;margin-left:6px;padding:2px 10px;border-radius:99px;color:var(--card);
background:var(--accent)}
.idle{background:var(--good)}.degraded,.stopping{background:var(--bad)}.paused{background:var(--fair)}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(128px,1fr));gap:12px;margin:20px 0 16px}
dl div,section{background:var(--card);border:1px solid var(--rule);border-radius:10px}
dl div{padding:10px 14px}
dt{color:var(--soft);font-size:13px}
dd{margin:0;font-size:22px;font-weight:600;font-variant-numeric:tabular-nums;letter-spacing:-.01em}
dd small{display:block;font-weight:400;letter-spacing:0}
section{padding:14px 18px;margin:0 0 14px}
section>.muted:last-child{margin:0}
svg{display:block;width:100%;height:auto;font:11px system-ui,"DejaVu Sans",sans-serif}
.grid{stroke:var(--rule)}
.axis{fill:var(--soft)}
.fill{stroke:none;opacity:.18}
.line{fill:none;stroke-width:1.6;stroke-linejoin:round}
.memory.fill{fill:var(--accent)}.memory.line{stroke:var(--accent)}
line.ceiling{stroke:var(--bad);stroke-dasharray:5 4}text.ceiling{fill:var(--bad)}
.files{fill:var(--accent);color:var(--accent)}.texts{fill:var(--second);color:var(--second)}.queue{fill:var(--accent)}
.refresh{fill:var(--good);color:var(--good)}.recycle{fill:var(--fair);color:var(--fair)}.kill{fill:var(--bad);color:var(--bad)}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13.5px}
th{font-weight:500;color:var(--soft);text-align:left}
th,td{padding:5px 10px 5px 0;border-bottom:1px solid var(--rule);vertical-align:top}
.number+:not(.number){padding-left:28px}
tr:last-child td{border-bottom:0}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.path{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:12.5px;overflow-wrap:anywhere}
footer{margin-top:18px}
"""
