/**
 * Writes moments (milliseconds since 1970) as ISO 8601, as `Date` does.
 *
 * Every line of the log has one, and `Date` takes more time for it than `JSON.stringify` for the rest of the line; so
 * what all moments of a second have in common is kept.
 */
export function createTimestamps(): (wallMs: number) => string {
  let second = NaN;
  let beginning = '';

  return wallMs => {
    const now = Math.floor(wallMs / 1000);
    if (now !== second) {
      second = now;
      beginning = new Date(now * 1000).toISOString().slice(0, -'000Z'.length);
    }
    return `${beginning}${String(Math.floor(wallMs - now * 1000)).padStart(3, '0')}Z`;
  };
}
