"""Look of the reports: one inline style sheet, light and dark, on screen and on paper."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #ffffff; --text: #1b1f27; --faint: #5d6675; --line: #dde1e8;
  --accent: #2458c5; --bar: #5b86dd; --ok: #1c7c47; --warning: #97640a; --error: #b62a2a; --info: #55606f; }
@media (prefers-color-scheme: dark) { :root { --page: #14161b; --card: #1d2027; --text: #e9ebf0; --faint: #a0a8b6;
  --line: #343944; --accent: #8db1ff; --bar: #5f8be6; --ok: #5ccf8d; --warning: #e6b04a; --error: #ff8585;
  --info: #a9b3c2; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans",
  sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 1.6rem 1.4rem 3rem; }
header h1 { margin: 0; font-size: 1.75rem; line-height: 1.2; overflow-wrap: anywhere; }
header p { margin: .35rem 0 0; color: var(--faint); overflow-wrap: anywhere; }
nav { margin: 1rem 0 0; font-size: .92rem; }
nav a { color: var(--accent); text-decoration: none; margin-right: 1.1rem; white-space: nowrap; }
nav a:hover { text-decoration: underline; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1.1rem 1.3rem 1.3rem;
  margin-top: 1.2rem; }
h2 { font-size: 1.2rem; margin: 0 0 .7rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .5rem; }
section p { max-width: 75ch; margin: .5rem 0; }
section p.notice { max-width: none; border-left: 4px solid var(--warning); padding: .3rem .8rem;
  background: var(--page); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(168px, 1fr)); gap: .7rem; }
.card { border: 1px solid var(--line); border-left: 4px solid var(--info); border-radius: 8px; padding: .6rem .8rem; }
.card.ok { border-left-color: var(--ok); } .card.warning { border-left-color: var(--warning); }
.card.error { border-left-color: var(--error); }
.card .name { color: var(--faint); font-size: .85rem; }
.card .value { font-size: 1.35rem; font-weight: 650; line-height: 1.3; overflow-wrap: anywhere; }
.card .value.text { font-size: 1.08rem; }
.card .unit { font-size: .9rem; font-weight: 400; color: var(--faint); }
.card .note { color: var(--faint); font-size: .82rem; line-height: 1.35; }
.badge { display: inline-block; border-radius: 99px; padding: .05rem .6rem; font-size: .8rem; font-weight: 600;
  border: 1px solid currentColor; vertical-align: middle; }
.badge.ok, .card .ok { color: var(--ok); } .badge.warning, .card .warning { color: var(--warning); }
.badge.error, .card .error { color: var(--error); } .badge.info { color: var(--info); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; margin: .4rem 0; }
caption { text-align: left; color: var(--faint); padding-bottom: .3rem; font-size: .9rem; }
th, td { text-align: left; padding: .32rem .9rem .32rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: break-word; max-width: 60ch; }
th { font-weight: 600; } td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
th.number { text-align: right; }
figure { margin: .6rem 0 0; } figure img { max-width: 100%; height: auto; border-radius: 6px; display: block; }
figcaption { color: var(--faint); font-size: .9rem; margin-top: .4rem; max-width: 90ch; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(310px, 1fr)); gap: 1rem; }
svg.chart { width: 100%; height: auto; color: var(--text); } svg.chart .bar { fill: var(--bar); }
svg.chart .axis { stroke: var(--faint); stroke-width: 1; } svg.chart text { fill: var(--faint); font-size: 11px; }
svg.chart text.title { fill: var(--text); font-size: 13px; font-weight: 600; }
svg.chart .mark { stroke: var(--error); stroke-width: 1.5; stroke-dasharray: 4 3; }
details { margin-top: .8rem; } summary { cursor: pointer; color: var(--accent); }
pre { overflow: auto; max-height: 28rem; font-size: .8rem; background: var(--page); border: 1px solid var(--line);
  border-radius: 6px; padding: .7rem; white-space: pre-wrap; overflow-wrap: anywhere; }
footer { color: var(--faint); font-size: .85rem; margin-top: 1.4rem; overflow-wrap: anywhere; }
@media print { :root { --page: #fff; --card: #fff; --text: #000; --faint: #444; --line: #bbb; --bar: #777; }
  body { font-size: 10.5pt; } nav, details:not([open]) { display: none; } main { max-width: none; padding: 0; }
  section { border: 0; padding: .4rem 0; } .card, figure, tr, svg { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  pre { max-height: none; } .scroll { overflow: visible; } table { font-size: 7.5pt; }
  th, td { padding-right: .5rem; } * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""
