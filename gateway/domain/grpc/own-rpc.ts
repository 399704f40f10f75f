import type { Call, Transcoder } from '../call.ts';
import { wordsOfFailure, type GatewayError } from '../errors.ts';
import { contentCodingOf, unpackedOrRefused, type Unpack } from '../http/content-coding.ts';
import type { Answer } from '../upstream.ts';
import { malformed, notSpoken, speechOf, type Speech, timeoutOf } from './speech.ts';
import { takeMessage } from './envelope.ts';
import { endReply, messageReply } from './reply.ts';
import { statusOfFailure } from './status.ts';
import { refusalsIn, unknownMethod } from './transcoder.ts';

/** Reads and writes the messages of a method that the gateway itself serves. */
export interface OwnMessages {
  /** Fields have their names in JSON; one that did not come has its default. A text: why it is no such message. */
  read(content: Buffer, format: Speech['format']): object | string;
  write(message: object, format: Speech['format']): Buffer;
}

/** How a call of such a method is bounded before it is known what it asks. */
export interface OwnBounds {
  readonly bytesMax: number;
  readonly timeoutMs: number;
}

/** A method that the gateway itself serves. */
export interface OwnMethod {
  /** As the call's path says it: `/SERVICE/METHOD`. */
  readonly path: string;
  readonly messages: OwnMessages;
  readonly bounds: () => OwnBounds;
}

/** What a call of such a method says. */
interface Said {
  readonly message: object;
  readonly bytes: number;
}

/** One call of a method that the gateway itself serves, in its caller's protocol. */
export class OwnRpc implements Transcoder {
  readonly protocol: string;
  readonly originalMethod: string;
  readonly originalPath: string;
  readonly keepsStatus = true;
  readonly speech: Speech;
  /** What its caller leaves it; Infinity where it does not say. */
  timeoutMs = Infinity;
  readonly #method: OwnMethod;
  #said: Said | undefined = undefined;

  constructor({ method, path }: Call, speech: Speech, own: OwnMethod) {
    this.protocol = speech.protocol;
    this.originalMethod = method;
    this.originalPath = path;
    this.speech = speech;
    this.#method = own;
  }

  get isRead(): boolean {
    return this.#said !== undefined;
  }

  /** What it says, once that is read. */
  get said(): Said {
    if (this.#said === undefined) throw new Error(`${this.originalPath} was asked before it was read`);
    return this.#said;
  }

  /** Reads what it says, within the method's bounds, and goes on with `next`. */
  read(call: Call, unpack: Unpack, next: () => void): void {
    const { bytesMax, timeoutMs } = this.#method.bounds();
    call.arm(Math.min(timeoutMs, this.timeoutMs));
    const read = () =>
      takeMessage(call, { speech: this.speech, unpack, bytesMax }, content => {
        this.understand(content);
        next();
      });
    const coding = call.body.length === 0 ? undefined : contentCodingOf(call.fields);
    call.receive(bytesMax, () => {
      call.body = READ;
      if (coding === undefined) read();
      else
        call.awaits(unpack(call.content, coding, bytesMax), whole => {
          call.content = unpackedOrRefused(whole, bytesMax);
          read();
        });
    });
  }

  /** Reads its message, without its envelope. Throws BAD_REQUEST. */
  understand(content: Buffer): void {
    const message = this.#method.messages.read(content, this.speech.format);
    if (typeof message === 'string') throw malformed(`The message is not what ${this.originalPath} takes: ${message}`);
    this.#said = { message, bytes: content.length };
  }

  /** A message as its answer; with the fields of an answer that it is made of. */
  reply(message: object, { fields, via }: Pick<Answer, 'fields' | 'via'> = { fields: [], via: null }): Answer {
    return messageReply(this.speech, this.written(message), { fields, via });
  }

  /** A message of its answer, without its envelope. */
  written(message: object): Buffer {
    return this.#method.messages.write(message, this.speech.format);
  }

  request(): void {
    throw new Error('a call that the gateway itself answers went on');
  }

  answer(_call: Call, answer: Answer): Answer {
    return answer;
  }

  /** What is not there is what the message names, and not the method. */
  failure(_call: Call, failure: GatewayError): Answer {
    const { fields, status: httpStatus, code } = failure;
    const status = { ...statusOfFailure(failure), message: wordsOfFailure(failure) };
    if (code === 'NO_ROUTE') status.code = 'NOT_FOUND';
    return endReply(this.speech, { ...status, httpStatus, fields, via: null });
  }
}

/** The body of a call whose body was read before it had a route. */
const READ = {
  length: 0,
  read: (_bytesMax: number, reader: { onBody(content: Buffer): void }) => reader.onBody(Buffer.alloc(0)),
  leave: () => undefined,
};

/** What a call asks stands in its message: the flow waits for it, and enters the call again. */
export class MessageWait {
  readonly #rpc: OwnRpc;
  readonly #unpack: Unpack;

  constructor(rpc: OwnRpc, unpack: Unpack) {
    this.#rpc = rpc;
    this.#unpack = unpack;
  }

  /** Waits with the call, and goes on with `next`. Throws as `read` does. */
  within(call: Call, next: () => void): void {
    this.#rpc.read(call, this.#unpack, next);
  }
}

/** Finds calls of the methods of a service that the gateway itself serves. */
export class OwnRpcs {
  readonly #service: string;
  readonly #methods: ReadonlyMap<string, OwnMethod>;
  readonly #unpack: Unpack;

  constructor(service: string, methods: readonly OwnMethod[], unpack: Unpack) {
    this.#service = `/${service}/`;
    this.#methods = new Map(methods.map(method => [method.path, method]));
    this.#unpack = unpack;
  }

  /**
   * What a call of one of them says, or, as long as that is not known, the wait for it; undefined: it is a call like any
   * other. Throws BAD_REQUEST, and NO_ROUTE for a method that the service does not have, in the caller's protocol;
   * UNSUPPORTED_MEDIA_TYPE where it speaks none.
   */
  entered(call: Call): OwnRpc | MessageWait | undefined {
    const { transcoder } = call;
    if (transcoder instanceof OwnRpc && transcoder.isRead)
      return this.#methods.has(transcoder.originalPath) ? transcoder : undefined;
    if (!call.path.startsWith(this.#service) || call.method !== 'POST') return undefined;
    const speech = speechOf(call.fields);
    if (speech === undefined) throw notSpoken();
    const method = this.#methods.get(call.path);
    if (method === undefined) {
      call.transcoder = refusalsIn(speech);
      throw unknownMethod(call);
    }
    const rpc = new OwnRpc(call, speech, method);
    call.transcoder = rpc;
    if (speech.protocol === 'grpc' && call.httpVersion !== '2.0')
      throw malformed('gRPC is spoken over HTTP/2; over HTTP/1.1 speak gRPC-Web or Connect.');
    rpc.timeoutMs = timeoutOf(call, speech);
    return new MessageWait(rpc, this.#unpack);
  }
}
