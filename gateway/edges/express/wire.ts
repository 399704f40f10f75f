import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { GatewayError } from '../../domain/errors.ts';

/** An ordinary request's two halves, as Node made them. */
export class HttpWire {
  readonly kind = 'http';
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** What the connection brought in place of the body, before anybody read it. */
  fault: GatewayError | undefined;
  #isAskedToContinue: boolean;

  constructor(req: IncomingMessage, res: ServerResponse, isAskedToContinue: boolean) {
    this.req = req;
    this.res = res;
    this.#isAskedToContinue = isAskedToContinue;
  }

  /** Says `100 Continue` to a caller who waits for it before sending the body, once. */
  sendContinue(): void {
    if (!this.#isAskedToContinue) return;
    this.#isAskedToContinue = false;
    this.res.writeContinue();
  }

  /** True while a caller waits for `100 Continue`: the body will not come. */
  get isBodyWithheld(): boolean {
    return this.#isAskedToContinue;
  }
}

/** A request to switch protocols: the connection itself, and what came after the head. */
export class UpgradeWire {
  readonly kind = 'upgrade';
  readonly req: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;

  constructor(req: IncomingMessage, socket: Duplex, head: Buffer) {
    this.req = req;
    this.socket = socket;
    this.head = head;
  }
}
