/** Cuts text that comes in pieces into lines. Of a line longer than the bound the rest is dropped. */
export function createLineSplitter(charsMax: number, onLine: (line: string) => void) {
  let begun = '';
  let isDropping = false;

  function emit(): void {
    const line = begun.endsWith('\r') ? begun.slice(0, -1) : begun;
    begun = '';
    isDropping = false;
    if (line !== '') onLine(line);
  }

  return {
    push(text: string): void {
      for (const [index, piece] of text.split('\n').entries()) {
        if (index > 0) emit();
        if (isDropping) continue;
        begun += piece.slice(0, charsMax - begun.length);
        isDropping = begun.length === charsMax;
      }
    },
    /** No more will come: a line without its end is one as well. */
    end: emit,
  };
}
