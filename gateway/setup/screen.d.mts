/** What is shown of a line of the gateway's log below the screen; undefined: nothing. */
export declare function shownLine(line: string): { text: string; isAmiss: boolean } | undefined;

/** What is shown of a line while the gateway starts; undefined: nothing. */
export declare function warningOfStart(line: string): string | undefined;
