/** What the edge itself wants to know of a request's fields, found in one pass. */
export interface HeadFacts {
  /** Names and values together. */
  readonly bytes: number;
  readonly hosts: number;
  readonly host: string;
  readonly requestId: string | undefined;
  /** Undefined when the body comes in chunks. */
  readonly contentLength: number | undefined;
  /** How the body is coded for its way; undefined: as it is. */
  readonly transferCoding: string | undefined;
}

/** Reads a request's fields once; names are compared only where their length fits. */
export function readHead(rawHeaders: readonly string[]): HeadFacts {
  let bytes = 0;
  let hosts = 0;
  let host = '';
  let requestId: string | undefined;
  let length = 0;
  let transferCoding: string | undefined;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const [name = '', value = ''] = [rawHeaders[i], rawHeaders[i + 1]];
    bytes += name.length + value.length;
    switch (wantedName(name)) {
      case 'host':
        hosts += 1;
        host = value;
        break;
      case 'x-request-id':
        requestId ??= value;
        break;
      case 'content-length':
        length = Number(value);
        break;
      case 'transfer-encoding':
        transferCoding = value;
        break;
      default:
    }
  }
  const contentLength = transferCoding === undefined ? length : undefined;
  return { bytes, hosts, host, requestId, contentLength, transferCoding };
}

function wantedName(name: string): string {
  const { length } = name;
  return length === 4 || length === 12 || length === 14 || length === 17 ? name.toLowerCase() : '';
}
