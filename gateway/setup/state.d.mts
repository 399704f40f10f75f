/** The folder of the clone. */
export const ROOT: string;

/** Where what the set-up made is kept; deleting it costs no more than doing it again. */
export const STATE: string;

/** Makes the development secret once, in a file that only its owner reads. */
export function ensureDevSecret(folder?: string): void;
