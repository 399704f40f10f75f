import { isEligibleIn, type InstanceView, type ServiceView } from '../service.ts';
import { printable } from '../printable.ts';

/** What the gateway says of itself in a registry: a light, and a few lines for an operator. */
export interface StatusReport {
  readonly status: 'passing' | 'warning' | 'critical';
  readonly output: string;
}

const OUTPUT_CHARS_MAX = 2_000;
const REASON_CHARS_MAX = 120;
const TROUBLES_MAX = 3;
const PEERS_MAX = 3;

/**
 * The gateway's view of its services: a line for each, those in trouble first, and below it which instances are out
 * and why. It is a warning when a service has no instance, and critical when the gateway itself is leaving. `peers` are
 * the other gateways before the same instances.
 */
export function reportStatus(
  views: readonly ServiceView[],
  isDraining: boolean,
  peers: readonly string[] = [],
): StatusReport {
  if (isDraining) return { status: 'critical', output: 'draining: it takes no new requests' };
  if (views.length === 0) return { status: 'passing', output: 'no service is in use' };

  const orphaned = views.filter(view => passingOf(view).length === 0);
  const headline =
    orphaned.length === 0
      ? `${count(views.length, 'service')}, each with instances in rotation`
      : `${orphaned.length} of ${count(views.length, 'service')} without an instance in rotation`;
  const blocks = [...views]
    .sort((a, b) => troubleOf(b) - troubleOf(a) || (a.service < b.service ? -1 : 1))
    .map(describe);
  return {
    status: orphaned.length === 0 ? 'passing' : 'warning',
    output: joinWithin(headline, [...describePeers(peers), ...blocks]),
  };
}

function passingOf(view: ServiceView): InstanceView[] {
  return view.instances.filter(({ state }) => isEligibleIn(state));
}

/** One line, where there are any. */
function describePeers(peers: readonly string[]): string[] {
  if (peers.length === 0) return [];
  const named = peers.slice(0, PEERS_MAX).map(id => printable(id, REASON_CHARS_MAX));
  const more = peers.length > PEERS_MAX ? `, and ${peers.length - PEERS_MAX} more` : '';
  return [`shares instances with ${named.join(', ')}${more}`];
}

/** None in rotation comes first, then the share that is out. */
function troubleOf(view: ServiceView): number {
  if (view.instances.length === 0) return 2;
  return 1 - passingOf(view).length / view.instances.length;
}

function describe(view: ServiceView): string {
  const total = view.instances.length;
  if (total === 0) return `${view.service}: no instances`;
  const busy = view.instances.filter(({ inFlight }) => inFlight > 0).length;
  const waiting = view.queue.depth > 0 ? `, ${view.queue.depth} waiting` : '';
  const ejected = view.instances.filter(({ state }) => state === 'ejected').length;
  const lines = [
    `${view.service}: ${passingOf(view).length} of ${total} pass, ${busy} busy, ${ejected} ejected${waiting}`,
  ];

  const troubled = view.instances.filter(isTroubled);
  for (const instance of troubled.slice(0, TROUBLES_MAX)) lines.push(`  ${describeTrouble(instance)}`);
  if (troubled.length > TROUBLES_MAX) lines.push(`  and ${troubled.length - TROUBLES_MAX} more`);
  return lines.join('\n');
}

function isTroubled({ state }: InstanceView): boolean {
  return !isEligibleIn(state) || state === 'probation';
}

function describeTrouble({ id, state, why, until }: InstanceView): string {
  const reason = why === null ? '' : `: ${printable(why, REASON_CHARS_MAX)}`;
  return `${printable(id, REASON_CHARS_MAX)} ${state}${until === null ? '' : ` until ${until}`}${reason}`;
}

function joinWithin(headline: string, blocks: readonly string[]): string {
  const lines = [headline];
  let chars = headline.length;
  for (const [index, block] of blocks.entries()) {
    const ending = `and ${count(blocks.length - index, 'service')} more`;
    if (chars + 1 + block.length + 1 + ending.length > OUTPUT_CHARS_MAX) return [...lines, ending].join('\n');
    lines.push(block);
    chars += 1 + block.length;
  }
  return lines.join('\n');
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
