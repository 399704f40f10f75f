import { bodyTooLarge, GatewayError } from '../errors.ts';
import type { RowsForm } from '../validation/records.ts';

interface RowsJsonOptions {
  readonly form: RowsForm;
  readonly bytesMax: number;
}

/** Writes rows as the JSON that a model takes: an array of records, or an object of columns. */
export class RowsJson {
  readonly #names: readonly string[];
  readonly #options: RowsJsonOptions;
  /** Rows, or the values of each column. */
  readonly #texts: string[] = [];
  #length = 0;
  rows = 0;

  constructor(names: readonly string[], options: RowsJsonOptions) {
    this.#names = names.map(name => `${JSON.stringify(name)}:`);
    this.#options = options;
  }

  /** One row, its values as JSON. Throws BODY_TOO_LARGE. */
  add(values: readonly string[]): void {
    this.rows += 1;
    if (this.#options.form === 'array') this.#addRecord(values);
    else this.#addToColumns(values);
    if (this.#length > this.#options.bytesMax) throw largerAsJson(this.#options.bytesMax);
  }

  /** All rows. Throws BODY_TOO_LARGE. */
  content(): Buffer {
    const json = Buffer.from(this.#text());
    if (json.length > this.#options.bytesMax) throw largerAsJson(this.#options.bytesMax);
    return json;
  }

  #addRecord(values: readonly string[]): void {
    let text = '';
    for (let i = 0; i < values.length; i++) text += `${i === 0 ? '{' : ','}${this.#names[i] ?? ''}${values[i] ?? ''}`;
    this.#texts.push(`${text}}`);
    this.#length += text.length + 2;
  }

  #addToColumns(values: readonly string[]): void {
    values.forEach((value, i) => {
      this.#texts[i] = this.rows === 1 ? value : `${this.#texts[i] ?? ''},${value}`;
      this.#length += value.length + 1;
    });
  }

  #text(): string {
    if (this.#options.form === 'array') return `[${this.#texts.join(',')}]`;
    return `{${this.#names.map((name, i) => `${name}[${this.#texts[i] ?? ''}]`).join(',')}}`;
  }
}

function largerAsJson(bytesMax: number): GatewayError {
  return new GatewayError('BODY_TOO_LARGE', `the rows are more than ${bytesMax} bytes as JSON`, {
    detail: `${bodyTooLarge(bytesMax).detail} Its rows are larger as the JSON that the model takes.`,
  });
}
