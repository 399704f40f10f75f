const isTerminal = process.stdout.isTTY === true;

/** How often a step that takes long shows itself where lines cannot be rewritten (a log, a pipe). */
const HEARTBEAT_MS = 15_000;

/** Prints a line for the person who set this up. */
export function say(line = '') {
  process.stdout.write(`${line}\n`);
}

/** Prints a line that wants attention. */
export function warn(line) {
  process.stderr.write(`${paint('33', '!')} ${line}\n`);
}

/** Bold, where the terminal can. */
export function bold(text) {
  return paint('1', text);
}

/** Faint, where the terminal can. */
export function faint(text) {
  return paint('2', text);
}

function paint(code, text) {
  return isTerminal && process.env.NO_COLOR === undefined ? `\u001b[${code}m${text}\u001b[0m` : text;
}

/**
 * Shows a step while it lasts: what is done, how far it is, how long it takes. On a terminal it is one line that
 * changes; elsewhere a line at the start and at the end, and a sign of life between.
 *
 * `work` receives a function by which it tells how far it is, and one that prints a warning above the step.
 */
export async function step(title, work) {
  const startedMs = Date.now();
  let detail = '';
  const seconds = () => Math.round((Date.now() - startedMs) / 1000);
  const line = () => `${title} … ${faint([detail, `${seconds()} s`].filter(part => part !== '').join(', '))}`;
  const show = () => process.stdout.write(isTerminal ? `\r\u001b[2K${fit(line())}` : `  ${line()}\n`);

  process.stdout.write(isTerminal ? fit(`${title} …`) : `${title} …\n`);
  const timer = setInterval(show, isTerminal ? 250 : HEARTBEAT_MS);
  try {
    const report = text => {
      detail = text;
      if (isTerminal) show();
    };
    const result = await work(report, text => finish(`${paint('33', '!')} ${text}`));
    finish(`${paint('32', '✓')} ${title} ${faint(`(${seconds()} s)`)}`);
    return result;
  } catch (error) {
    finish(`${paint('31', '✗')} ${title}`);
    throw error;
  } finally {
    clearInterval(timer);
  }
}

function finish(line) {
  process.stdout.write(isTerminal ? `\r\u001b[2K${line}\n` : `${line}\n`);
}

/** Cuts what would wrap, since a wrapped line cannot be rewritten in place. */
function fit(line) {
  const width = process.stdout.columns ?? 80;
  return line.length > width + 8 ? line.slice(0, width) : line; // 8: the codes of `faint`, which take no place.
}
