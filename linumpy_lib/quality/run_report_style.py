"""Look of the report of a run, on top of `report_style`."""

from __future__ import annotations

STYLE = """
nav { position: sticky; top: 0; background: var(--page); padding: .5rem 0; z-index: 2; overflow-x: auto;
  border-bottom: 1px solid var(--line); }
section { scroll-margin-top: 3rem; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
.verdict { font-size: 1.05rem; padding-left: 1.2rem; margin: .4rem 0 1rem; } .verdict li { margin: .2rem 0;
  overflow-wrap: anywhere; }
.controls { margin: .2rem 0 .6rem; display: flex; gap: 1.2rem; flex-wrap: wrap; align-items: center; }
.controls label { display: inline-flex; gap: .4rem; align-items: center; }
.state { font-weight: 600; white-space: nowrap; }
.state.used { color: var(--ok); } .state.failed { color: var(--error); }
.state.excluded { color: var(--info); } .state.interpolated, .state.gap { color: var(--warning); }
table.ledger { border-collapse: separate; border-spacing: 0; }
table.ledger th, table.ledger td { padding: .3rem .5rem; vertical-align: middle; }
table.ledger th.turned { height: 8.4rem; vertical-align: bottom; padding: 0 .1rem .3rem; font-weight: 500; }
table.ledger th.turned span { writing-mode: vertical-rl; transform: rotate(180deg); white-space: nowrap; }
table.ledger td.mark { text-align: center; padding: .3rem .2rem; min-width: 1.7rem; }
table.ledger td.why { min-width: 14rem; max-width: 34rem; }
table.ledger th.id { position: sticky; left: 0; background: var(--card); z-index: 1; }
table.ledger tr.chosen td, table.ledger tr.chosen th { background: color-mix(in srgb, var(--accent) 16%, var(--card)); }
.mark .ok { color: var(--ok); } .mark .warning { color: var(--warning); font-weight: 700; }
.mark .error { color: var(--error); font-weight: 700; } .mark .info { color: var(--faint); }
button.slice { font: inherit; color: var(--accent); background: none; border: 0; padding: .1rem .3rem; cursor: pointer;
  text-decoration: underline; }
td .ok, td.ok { color: var(--ok); } td .warning, td.warning { color: var(--warning); }
td .error, td.error { color: var(--error); }
.trends { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(310px, 100%), 1fr)); gap: .9rem; }
figure.trend { margin: 0; border: 1px solid var(--line); border-radius: 8px; padding: .5rem .6rem; min-width: 0; }
figure.trend figcaption { margin: 0; color: var(--text); font-weight: 600; overflow-wrap: anywhere; }
figure.trend svg { width: 100%; height: auto; display: block; cursor: crosshair; touch-action: pan-y; }
figure.trend text { fill: var(--faint); font-size: 11px; }
figure.trend .axis { stroke: var(--faint); fill: none; } figure.trend .line { stroke: var(--bar); fill: none;
  stroke-width: 1.6; }
figure.trend circle { fill: var(--bar); } figure.trend circle.warning { fill: var(--warning); r: 4px; }
figure.trend circle.error { fill: var(--error); r: 4.5px; }
figure.trend .bound { fill: none; stroke-dasharray: 5 4; stroke: var(--warning); }
figure.trend .bound.error { stroke: var(--error); }
figure.trend .cursor { stroke: var(--accent); stroke-width: 1.4; fill: none; }
figure.trend output { display: block; color: var(--faint); font-size: .85rem; min-height: 1.3em;
  font-variant-numeric: tabular-nums; }
.thumbs { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(210px, 100%), 1fr)); gap: .8rem; }
.thumbs.large { grid-template-columns: repeat(auto-fill, minmax(min(420px, 100%), 1fr)); }
.thumbs figure { margin: 0; min-width: 0; } .thumbs figcaption { margin-top: .2rem; overflow-wrap: anywhere; }
button.zoom { display: block; width: 100%; padding: 0; border: 1px solid var(--line); border-radius: 6px;
  background: #161616; cursor: zoom-in; overflow: hidden; }
button.zoom img { width: 100%; height: 150px; object-fit: contain; display: block; border-radius: 0; }
.thumbs.large button.zoom img { height: 320px; }
dialog { border: 0; padding: 0; width: 100vw; height: 100vh; height: 100dvh; max-width: none; max-height: none;
  background: #101114; color: #f2f3f5; }
dialog::backdrop { background: #000c; }
dialog[open] { display: flex; flex-direction: column; }
dialog .bar { display: flex; gap: .6rem; align-items: center; padding: .5rem .8rem; flex-wrap: wrap; fill: none; }
dialog .bar button { font: inherit; color: inherit; background: #2b2f37; border: 1px solid #5d6675; border-radius: 6px;
  padding: .3rem .8rem; cursor: pointer; min-height: 2.2rem; }
dialog .bar output { flex: 1 1 12rem; overflow-wrap: anywhere; }
dialog .stage { flex: 1; overflow: auto; display: flex; } dialog .stage img { margin: auto; max-width: 100%;
  max-height: 100%; cursor: zoom-in; } dialog .stage.actual img { max-width: none; max-height: none; cursor: zoom-out; }
details.step { border-top: 1px solid var(--line); padding: .5rem 0; margin: 0; }
details.step > summary { color: var(--text); font-weight: 600; font-size: 1.02rem; padding: .25rem 0; }
details.step > summary code { color: var(--faint); font-weight: 400; font-size: .88rem; }
@media (max-width: 640px) { table.issues thead { display: none; } table.issues tr { display: block; padding: .4rem 0;
  border-bottom: 1px solid var(--line); } table.issues td { display: block; border: 0; padding: .05rem 0; }
  nav { white-space: nowrap; } main { padding: 1rem .6rem 2rem; } section { padding: .8rem .7rem 1rem; }
  header h1 { font-size: 1.35rem; } .cards { grid-template-columns: repeat(auto-fill, minmax(136px, 1fr)); }
  .thumbs { grid-template-columns: repeat(2, minmax(0, 1fr)); } .thumbs.large { grid-template-columns: 1fr; }
  button.zoom img { height: 110px; } .thumbs.large button.zoom img { height: auto; max-height: 70vh; } }
@media print { nav, .controls, dialog { display: none; } .thumbs { grid-template-columns: repeat(3, 1fr); }
  .thumbs.large { grid-template-columns: 1fr 1fr; } .trends { grid-template-columns: 1fr 1fr; }
  details.step:not([open]) { display: block; } figure.trend output { display: none; } button.slice { color: #000;
  text-decoration: none; } button.zoom img { height: 120px; } table.ledger th.id { position: static; }
  tr[hidden] { display: table-row; } }
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
"""
