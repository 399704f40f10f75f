/** What is shown of a line of the gateway's log below the screen; undefined: nothing. */
export declare function shownLine(line: string): { text: string; isAmiss: boolean } | undefined;
