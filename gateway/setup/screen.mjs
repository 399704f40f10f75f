import { join, relative } from 'node:path';
import { toReadable } from './gateway-process.mjs';
import { bold, faint, say } from './say.mjs';
import { ROOT } from './state.mjs';

/** Commands that work when pasted: each on one line, with nothing to fill in. */
function examples({ gatewayUrl, adminUrl, token }) {
  const identity = token === undefined ? '' : ` -H 'Authorization: Bearer ${token}'`;
  const call = (path, rows) =>
    `curl -sS -w '\\n' ${gatewayUrl}${path}${identity} -H 'Content-Type: application/json' -d '${JSON.stringify(rows)}'`;
  return [
    [
      "How far does a car go on a gallon, by its weight and power? R's own lm() answers:",
      call('/api/fuel/predict', CARS),
    ],
    ['Which iris is it, and how sure is the model?', call('/api/iris/predict', FLOWERS)],
    ['What the gateway knows of its R processes:', `curl -sS -w '\\n' ${adminUrl}/api/services`],
  ];
}

const CARS = [
  { wt: 2.62, hp: 110 },
  { wt: 5.25, hp: 205 },
];

const FLOWERS = [{ 'Sepal.Length': 5.1, 'Sepal.Width': 3.5, 'Petal.Length': 1.4, 'Petal.Width': 0.2 }];

/** The screen at the end of the set-up: where everything is, and what to try. */
export function showScreen({ gatewayUrl, adminUrl, consulUrl, token, expires, services, routesFile }) {
  const address = (name, url, note) => say(`  ${name.padEnd(9)} ${bold(url)}  ${faint(note)}`);
  say();
  say(bold('Penstock is up.'));
  say();
  address('Gateway', gatewayUrl, `R models: ${services.join(', ')}`);
  address('Admin', adminUrl, '/readyz  /metrics  /api/services  /api/routes');
  if (consulUrl !== undefined) address('Consul', `${consulUrl}/ui/`, 'the services, and what the gateway says of them');
  say();
  say(
    `Paste these into another terminal${token === undefined ? ' (add a token of yours where a route asks for one)' : `; the token in them is good for ${expires}`}:`,
  );
  for (const [what, command] of examples({ gatewayUrl, adminUrl, token })) {
    say();
    say(faint(`# ${what}`));
    say(command);
  }
  say();
  say(`The command: ${relative(process.cwd(), join(ROOT, 'gateway', 'penstock.mjs'))} check | explain | token | …`);
  say(`Routes: edit ${routesFile}, it takes effect when saved. Log: tail -f .state/log/gateway.jsonl`);
  say(`${bold('Ctrl-C')} stops everything.`);
  say();
}

/**
 * What is shown of a line while the gateway starts: what it warns of itself; R's words are told when R ends.
 * @param {string} line
 * @returns {string | undefined}
 */
export function warningOfStart(line) {
  try {
    const { event, level, text, about } = JSON.parse(line);
    const isOwn = event === 'notice' && about?.service === undefined;
    if (!isOwn || !['warn', 'error'].includes(level)) return undefined;
    return [text, ...Object.entries(about).map(([key, value]) => `${key}=${value}`)].join(' ');
  } catch {
    return undefined; // Where it is the end of the gateway, its last lines are shown.
  }
}

/**
 * What is shown of a line of the gateway's log below the screen: each call in short, what a save of the routes has
 * done, and whatever is amiss.
 * @param {string} line
 * @returns {{ text: string, isAmiss: boolean } | undefined}
 */
export function shownLine(line) {
  let entry;
  try {
    entry = JSON.parse(line);
  } catch {
    return { text: line, isAmiss: true }; // Node's own words.
  }
  if (entry.event === 'request') {
    const instance = entry.instance === null ? '' : ` by ${entry.instance}`;
    const text = `${entry.status} ${entry.method} ${entry.path}  ${entry.totalMs} ms${instance}`;
    return { text: faint(text), isAmiss: false };
  }
  if (entry.event === 'config-loaded') {
    const text = [`The routes are in force as they were saved (generation ${entry.generation}).`, ...entry.warnings];
    return { text: text.join('\n  '), isAmiss: false };
  }
  if (entry.event === 'config-refused') {
    const text = ['The routes have an error: those before it stay in force.', ...entry.problems];
    return { text: text.join('\n  '), isAmiss: true };
  }
  return ['warn', 'error'].includes(entry.level) ? { text: toReadable(line), isAmiss: true } : undefined;
}
