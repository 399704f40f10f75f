import { inCounts, inMs } from './figures.ts';
import { drawBars, frame, TOP, type BarGroup } from './picture.ts';
import type { Race, Results } from './results.ts';
import type { Row } from './summary.ts';

const DRAWN = ['batched', 'fuel'];

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
  return id === 'batched' ? 'Waiting calls batched' : 'Call by call';
}

function toBar({ contestant, perSecond, p99Ms }: Row): BarGroup['bars'][number] {
  return {
    label: contestant.title,
    value: perSecond,
    text: `${inCounts(perSecond)}/s, p99 ${inMs(p99Ms)}`,
    isOwn: contestant.kind === 'own',
  };
}
