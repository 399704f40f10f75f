/** The known name that was probably meant; undefined when none is near enough to be a slip of the pen. */
export function nearestOf(written: string, known: Iterable<string>): string | undefined {
  const wanted = bare(written);
  let best: { name: string; distance: number } | undefined;
  for (const name of known) {
    const distance = distanceBetween(wanted, bare(name));
    if (best === undefined || distance < best.distance) best = { name, distance };
  }
  const distanceMax = Math.max(1, Math.floor(wanted.length / 3));
  return best !== undefined && best.distance <= distanceMax ? best.name : undefined;
}

/** Case and separators are what is mistaken most often: `default_filters` is as near to `default-filters` as can be. */
function bare(name: string): string {
  return name.toLowerCase().replaceAll(/[-_ ]/g, '').slice(0, 64);
}

/** Insertions, deletions, substitutions and swaps of neighbours that turn one text into the other. */
function distanceBetween(a: string, b: string): number {
  const width = b.length + 1;
  const cells = new Uint16Array((a.length + 1) * width);
  for (let j = 0; j < width; j++) cells[j] = j;
  for (let i = 1; i <= a.length; i++) {
    cells[i * width] = i;
    for (let j = 1; j < width; j++) cells[i * width + j] = cellOf(cells, { a, b, i, j, width });
  }
  return cells[a.length * width + b.length] ?? 0;
}

interface Cell {
  readonly a: string;
  readonly b: string;
  readonly i: number;
  readonly j: number;
  readonly width: number;
}

function cellOf(cells: Uint16Array, { a, b, i, j, width }: Cell): number {
  const back = (rows: number, columns: number) => cells[(i - rows) * width + j - columns] ?? 0;
  const cost = a[i - 1] === b[j - 1] ? 0 : 1;
  const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
  return Math.min(back(1, 0) + 1, back(0, 1) + 1, back(1, 1) + cost, isSwap ? back(2, 2) + 1 : Infinity);
}
