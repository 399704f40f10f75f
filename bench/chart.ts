import { inCounts, inMs } from './figures.ts';
import type { Race, Results } from './results.ts';
import type { Row } from './summary.ts';

const DRAWN = ['batch', 'fuel'];

/** The picture of what callers of a real model get: batched, and call by call. */
export function toSvg({ races }: Results): string {
  const groups = DRAWN.flatMap(id => races.find(race => race.id === id) ?? []).flatMap(groupsOf);
  return frame(drawBars(groups, TOP), groups.map(inSentence).join(' '));
}

/** The same in words, for those who do not see it. */
function inSentence({ title, bars }: BarGroup): string {
  return `${title}: ${bars.map(({ label, text }) => `${label} ${text}`).join('; ')}.`;
}

function groupsOf(race: Race): BarGroup[] {
  return race.connections.map(connections => ({
    title: `${titleOf(race)}, ${inCounts(connections)} ${connections === 1 ? 'caller' : 'callers'}: predictions a second`,
    bars: race.rows.filter(row => row.connections === connections).map(toBar),
  }));
}

function titleOf({ id }: Race): string {
  return id === 'batch' ? 'Waiting calls batched' : 'Call by call';
}

function toBar({ contestant, perSecond, p99Ms }: Row): BarGroup['bars'][number] {
  return {
    label: contestant.title,
    value: perSecond,
    text: `${inCounts(perSecond)}/s, p99 ${inMs(p99Ms)}`,
    isOwn: contestant.kind === 'own',
  };
}

/** Something that can be drawn: a fragment of SVG, and how high it is. */
interface Drawn {
  readonly svg: string;
  readonly height: number;
}

/** A bar and the words for it. */
interface Bar {
  readonly label: string;
  readonly value: number;
  /** What is written at its end. */
  readonly text: string;
  readonly isOwn: boolean;
}

/** Bars of one kind under one title. */
interface BarGroup {
  readonly title: string;
  readonly bars: readonly Bar[];
}

const WIDTH = 870;
const MARGIN = 24;
const LABEL_WIDTH = 285;
/** What is written at a bar's end needs so much. */
const TEXT_WIDTH = 190;
const BAR_HEIGHT = 16;
const ROW_HEIGHT = 22;
const TITLE_HEIGHT = 30;
const GAP_HEIGHT = 14;

/** Groups of bars below one another, each with a scale of its own, which begins at nothing. */
function drawBars(groups: readonly BarGroup[], top: number): Drawn {
  let y = top;
  const parts = groups.map(group => {
    const { svg, height } = drawGroup(group, y);
    y += height + GAP_HEIGHT;
    return svg;
  });
  return { svg: parts.join('\n'), height: y - GAP_HEIGHT - top };
}

function drawGroup({ title, bars }: BarGroup, top: number): Drawn {
  const most = Math.max(...bars.map(({ value }) => value));
  const scale = (WIDTH - 2 * MARGIN - LABEL_WIDTH - TEXT_WIDTH) / (most > 0 ? most : 1);
  const lines = bars.map((bar, i) => drawBar(bar, { scale, y: top + TITLE_HEIGHT + i * ROW_HEIGHT }));
  return {
    svg: [`<text class="title" x="${MARGIN}" y="${top + 18}">${escaped(title)}</text>`, ...lines].join('\n'),
    height: TITLE_HEIGHT + bars.length * ROW_HEIGHT,
  };
}

function drawBar({ label, value, text, isOwn }: Bar, { scale, y }: { scale: number; y: number }): string {
  const [left, width, middle] = [MARGIN + LABEL_WIDTH, Math.max(1, value * scale), y + BAR_HEIGHT - 4];
  const kind = isOwn ? 'own' : 'other';
  return [
    `<text class="label ${kind}-text" x="${left - 10}" y="${middle}" text-anchor="end">${escaped(label)}</text>`,
    `<rect class="${kind}" x="${left}" y="${y}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}" rx="2"/>`,
    `<text class="value ${kind}-text" x="${(left + width + 8).toFixed(1)}" y="${middle}">${escaped(text)}</text>`,
  ].join('\n');
}

/** A whole picture, on a ground of its own, so that it can be read on a light page and on a dark one. */
function frame(drawn: Drawn, description: string): string {
  const height = Math.ceil(drawn.height + 2 * MARGIN);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escaped(description)}">
<style>
  .ground { fill: #ffffff; stroke: #d0d7de; }
  text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #57606a; }
  .title { font-size: 14px; font-weight: 600; fill: #1f2328; }
  .own { fill: #0969da; }
  .other { fill: #afb8c1; }
  .own-text { font-weight: 600; fill: #1f2328; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; stroke: #30363d; }
    text { fill: #9198a1; }
    .title, .own-text { fill: #f0f6fc; }
    .own { fill: #4493f8; }
    .other { fill: #484f58; }
  }
</style>
<rect class="ground" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="8"/>
${drawn.svg}
</svg>
`;
}

/** Where a frame's first line begins. */
const TOP = MARGIN;

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
