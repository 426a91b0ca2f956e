/** More series than this are told apart by dashes. */
export const COLORS = 6;

const series = Array.from(
  { length: COLORS },
  (_, n) => `.line.s${n}, .whisker.s${n} { stroke: var(--s${n}) } .dot.s${n} { fill: var(--s${n}) }`,
);

/** Of plots, and the colours of the page around them. Series can be told apart by most eyes, on white and on black. */
export const plotStyle = `
:root { color-scheme: light dark; --page: #fff; --ink: #1c2430; --soft: #5b6675; --line: #d9dfe6; --zebra: #f5f7f9;
  --good: #14713a; --bad: #b3261e; --s0: #1266c4; --s1: #b3541e; --s2: #14713a; --s3: #7a3fb0; --s4: #8a96a5; --s5: #a4860b }
@media (prefers-color-scheme: dark) { :root { --page: #12161c; --ink: #e4e9ef; --soft: #9aa7b5; --line: #2c3541; --zebra: #181e26;
  --good: #5cc98a; --bad: #ff8a80; --s0: #5aa7f5; --s1: #f0975a; --s2: #5cc98a; --s3: #bf8ff0; --s4: #7c8998; --s5: #dbc04a } }
.plot text { fill: var(--ink); font: 13px system-ui, -apple-system, "Segoe UI", sans-serif }
.plot .soft { fill: var(--soft) } .plot .title { font-weight: 600; font-size: 15px } .plot .grid { stroke: var(--line) }
.plot .line { fill: none; stroke-width: 2.2 } .plot .whisker { stroke-width: 5; opacity: .35 } .plot .bound { stroke: var(--bad); stroke-dasharray: 4 3 }
.plot .paper { fill: var(--page) }
${series.join('\n')}`;
