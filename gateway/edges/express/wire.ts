import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { GatewayError } from '../../domain/errors.ts';

/** An ordinary request's two halves, as Node made them. */
export class HttpWire {
  readonly kind = 'http';
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  #fault: GatewayError | undefined;
  #tellFault: ((fault: GatewayError) => void) | undefined;
  #isAskedToContinue: boolean;

  constructor(req: IncomingMessage, res: ServerResponse, isAskedToContinue: boolean) {
    this.req = req;
    this.res = res;
    this.#isAskedToContinue = isAskedToContinue;
  }

  /** What the connection brings in place of the body's rest is none. */
  fail(fault: GatewayError): void {
    this.#fault ??= fault;
    this.#tellFault?.(this.#fault);
  }

  /** Whoever takes the body in is told of such a fault, be it past or to come. */
  onFault(tell: ((fault: GatewayError) => void) | undefined): void {
    this.#tellFault = tell;
    if (this.#fault !== undefined) tell?.(this.#fault);
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
