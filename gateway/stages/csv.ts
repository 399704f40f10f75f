import type { Call } from '../domain/call.ts';
import { type ColumnsFor, CsvTranscoder } from '../domain/table/csv-transcoder.ts';

/** Gives a call of a route with `csv` its transcoder. */
export type SpeakCsv = (call: Call) => void;

/** CSV in and out on routes with `csv: true`. */
export function createCsv({ columnsFor }: { readonly columnsFor: ColumnsFor }): SpeakCsv {
  return call => {
    call.transcoder = new CsvTranscoder(columnsFor, call);
  };
}
