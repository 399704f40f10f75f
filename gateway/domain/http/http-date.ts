/** `Sun, 06 Nov 1994 08:49:37 GMT`, and the two forms that were in use before (RFC 9110 §5.6.7). */
const FORMS: readonly RegExp[] = [
  /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/,
  /^[A-Z][a-z]{5,8}, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/,
  /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/,
];

/** The date of a field in milliseconds since 1970; undefined for what is no date in one of HTTP's three forms. */
export function parseHttpDate(text: string): number | undefined {
  if (!FORMS.some(form => form.test(text))) return undefined;
  const ms = Date.parse(text.endsWith(' GMT') ? text : `${text} GMT`);
  return Number.isNaN(ms) ? undefined : ms;
}
