/**
 * crypt(3) as Unix first had it: 25 rounds of DES, whose expansion the salt permutes. It is what Rserve asks for where it
 * takes no password in the clear; Node's DES has no salt. It protects little, as its inventors would say today.
 */
export function unixCrypt(password: string, salt: string): string {
  const keys = keysOf(Buffer.from(password, 'utf8').subarray(0, 8));
  const expansion = saltedExpansion(salt);
  let block = new Uint8Array(64);
  for (let i = 0; i < 25; i++) block = encrypt(block, keys, expansion);
  const bits = new Uint8Array(66);
  bits.set(block);
  const text = Array.from({ length: 11 }, (_, i) => ALPHABET.charAt(numberIn(bits.subarray(6 * i, 6 * i + 6))));
  return salt.slice(0, 2) + text.join('');
}

const ALPHABET = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

// The tables of FIPS 46, counted from 1 as there.
const INITIAL = [58, 60, 62, 64, 57, 59, 61, 63].flatMap(first => Array.from({ length: 8 }, (_, j) => first - 8 * j));
const KEY_CHOICE = [
  ...[57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36],
  ...[63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4],
];
const ROUND_KEY_CHOICE = [
  ...[14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2],
  ...[41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32],
];
const SHIFTS = [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1];
const PERMUTATION = [
  ...[16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10],
  ...[2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25],
];
/** Four rows of sixteen hexadecimal digits each. */
const BOXES = [
  'e4d12fb83a6c59070f74e2d1a6cb953841e8d62bfc973a50fc8249175b3ea06d',
  'f18e6b34972dc05a3d47f28ec01a69b50e7ba4d158c6932fd8a13f42b67c05e9',
  'a09e63f51dc7b428d709346a285ecbf1d6498f30b12c5ae71ad069874fe3b52c',
  '7de3069a1285bc4fd8b56f03472c1ae9a690cb7df13e52843f06a1d8945bc72e',
  '2c417ab6853fd0e9eb2c47d150fa3986421bad78f9c5630eb8c71e2d6f09a453',
  'c1af92680d34e75baf427c9561de0b389ef528c3704a1db6432c95fabe17608d',
  '4b2ef08d3c975a61d0b7491ae35c2f8614bdc37eaf6805926bd814a7950fe23c',
  'd2846fb1a93e50c71fd8a374c56b0e927b419ce206adf35821e74a8dfc90356b',
].map(digits => Array.from(digits, digit => Number.parseInt(digit, 16)));

type Bits = Uint8Array<ArrayBuffer>;

function chosen(bits: Bits, places: readonly number[]): Bits {
  return Uint8Array.from(places, place => bits[place - 1] ?? 0);
}

function numberIn(bits: Uint8Array): number {
  return bits.reduce((number, bit) => number * 2 + bit, 0);
}

/** Seven bits of each character. */
function keysOf(password: Uint8Array): Bits[] {
  const bits = new Uint8Array(64);
  for (const [i, char] of password.entries()) for (let j = 0; j < 7; j++) bits[8 * i + j] = (char >> (6 - j)) & 1;
  const key = chosen(bits, KEY_CHOICE);
  let [left, right] = [Array.from(key.subarray(0, 28)), Array.from(key.subarray(28))];
  return SHIFTS.map(by => {
    left = [...left.slice(by), ...left.slice(0, by)];
    right = [...right.slice(by), ...right.slice(0, by)];
    return chosen(Uint8Array.from([...left, ...right]), ROUND_KEY_CHOICE);
  });
}

/** Counted from 0. Each bit of the salt swaps two places. */
function saltedExpansion(salt: string): number[] {
  const places = Array.from({ length: 48 }, (_, i) => (4 * Math.floor(i / 6) + (i % 6) + 31) % 32);
  for (const [i, char] of Array.from(salt.slice(0, 2)).entries()) {
    const value = ALPHABET.indexOf(char);
    for (let j = 0; j < 6; j++) {
      const at = 6 * i + j;
      if (((value >> j) & 1) === 1) [places[at], places[at + 24]] = [places[at + 24] ?? 0, places[at] ?? 0];
    }
  }
  return places;
}

function encrypt(block: Bits, keys: readonly Bits[], expansion: readonly number[]): Bits {
  const start = chosen(block, INITIAL);
  let [left, right] = [start.slice(0, 32), start.slice(32)];
  for (const key of keys) {
    const mixed = chosen(substituted(right, key, expansion), PERMUTATION);
    [left, right] = [right, left.map((bit, i) => bit ^ (mixed[i] ?? 0))];
  }
  const swapped = Uint8Array.from([...right, ...left]);
  const end = new Uint8Array(64);
  for (const [i, place] of INITIAL.entries()) end[place - 1] = swapped[i] ?? 0;
  return end;
}

function substituted(half: Bits, key: Bits, expansion: readonly number[]): Bits {
  const result = new Uint8Array(32);
  for (const [i, box] of BOXES.entries()) {
    const bit = (j: number) => (half[expansion[6 * i + j] ?? 0] ?? 0) ^ (key[6 * i + j] ?? 0);
    const row = bit(0) * 2 + bit(5);
    const column = bit(1) * 8 + bit(2) * 4 + bit(3) * 2 + bit(4);
    const value = box[row * 16 + column] ?? 0;
    for (let j = 0; j < 4; j++) result[4 * i + j] = (value >> (3 - j)) & 1;
  }
  return result;
}
