const WELL_FORMED = /^[A-Za-z0-9._:+/=@-]{1,128}$/;

/** True for a caller's request id that may stand in logs, fields and answers as it is. */
export function isRequestId(text: string): boolean {
  return WELL_FORMED.test(text);
}
