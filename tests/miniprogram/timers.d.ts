// What the mini-program's runtime has beyond the language itself.
declare function setTimeout(callback: () => void, ms: number): number;
