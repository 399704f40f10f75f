import { STATUS_CODES, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ClientCertificate } from '../../domain/caller.ts';
import type { BodyReader, Call, CallerSide, IncomingBody } from '../../domain/call.ts';
import { callOf } from './http-wire.ts';
import type { Peer } from './intake.ts';
import type { Listener } from './connection.ts';
import { type Answer, dropBody } from '../../domain/upstream.ts';

const NOTHING = Buffer.alloc(0);

/** A request to switch protocols: the connection itself, which Node's server has no hand in any more. */
export class UpgradeWire implements CallerSide, IncomingBody {
  readonly req: IncomingMessage;
  readonly socket: Socket;
  /** What came behind the request's head: it belongs to the protocol that is switched to. */
  readonly head: Buffer;
  length: number | undefined = 0;
  certificate: ClientCertificate | undefined = undefined;
  readonly #listener: Listener;
  #isAnswered = false;

  constructor(req: IncomingMessage, socket: Socket, { head, listener }: AboutUpgrade) {
    this.req = req;
    this.socket = socket;
    this.head = head;
    this.#listener = listener;
  }

  /** The request becomes a call. */
  enter(peer: Peer): void {
    this.certificate = peer.tls?.certificate;
    const { inHand, enter, refusal } = this.#listener;
    const call = callOf({ req: this.req, wire: this, peer, isUpgrade: true, refusal: refusal() }, this.#listener);
    inHand.begin();
    this.socket.on('error', ignore); // 'close' follows, and tells all there is to tell
    this.socket.once('close', () => {
      inHand.end();
      if (!this.#isAnswered) call.hangUp();
    });
    enter(call);
  }

  read(_bytesMax: number, reader: BodyReader): void {
    reader.onBody(NOTHING);
  }

  leave(): void {
    // There is no body.
  }

  interim(): void {
    // The answer to an upgrade is the one that switches, or the end.
  }

  send(call: Call, answer: Answer): void {
    this.#isAnswered = true;
    call.record.bytesOut = Buffer.isBuffer(answer.body) ? answer.body.length : 0;
    answerRaw(this.socket, answer, this.#listener.clock.wallMs());
    call.over();
  }

  destroy(): void {
    this.socket.destroy();
  }
}

interface AboutUpgrade {
  readonly head: Buffer;
  readonly listener: Listener;
}

/** Answers on the connection itself and ends it. A body that is a stream has no place here and is left. */
export function answerRaw(socket: Duplex, answer: Answer, nowWallMs: number): void {
  dropBody(answer);
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  socket.on('error', ignore); // Node leaves it to us after CONNECT, and the other side may have reset it
  socket.end(toBytes(answer, nowWallMs), () => socket.destroy());
}

/** An answer in full; the connection ends after it. */
function toBytes({ status, fields, body }: Answer, nowWallMs: number): Buffer {
  const content = Buffer.isBuffer(body) ? body : NOTHING;
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\n`;
  for (let i = 0; i + 1 < fields.length; i += 2) head += `${fields[i] ?? ''}: ${fields[i + 1] ?? ''}\r\n`;
  const date = new Date(nowWallMs).toUTCString();
  head += `Date: ${date}\r\nContent-Length: ${content.length}\r\nConnection: close\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), content]);
}

function ignore(): void {
  // See where it is used.
}
