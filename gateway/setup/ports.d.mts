/** Fails with a sentence that says who has the port and what to do, where `what` could not listen on it. */
export function requireFreePort(wanted: { port: number; host: string; what: string; instead: string }): Promise<void>;

/** The wanted port where it is free, else any other that is. */
export function freePort(wanted?: number, host?: string): Promise<number>;
