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

/** Case and separators are what people remember least: `default_filters` is as near to `default-filters` as can be. */
function bare(name: string): string {
  return name.toLowerCase().replaceAll(/[-_ ]/g, '').slice(0, 64);
}

/** Insertions, deletions, substitutions and swaps of neighbours that turn one text into the other. */
function distanceBetween(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) row.push(cellOf(rows, row, { a, b, i, j }));
    rows.push(row);
  }
  return rows[a.length]?.[b.length] ?? 0;
}

function cellOf(
  rows: readonly number[][],
  row: readonly number[],
  { a, b, i, j }: { a: string; b: string; i: number; j: number },
): number {
  const cost = a[i - 1] === b[j - 1] ? 0 : 1;
  const above = rows[i - 1] ?? [];
  const steps = [(above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (above[j - 1] ?? 0) + cost];
  const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
  if (isSwap) steps.push((rows[i - 2]?.[j - 2] ?? 0) + 1);
  return Math.min(...steps);
}
