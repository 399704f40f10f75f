import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import globals from 'globals';
import tseslint from 'typescript-eslint';

const pure = [
  { object: 'Date', property: 'now', message: 'Take nowMs as an argument, or a Clock.' },
  { object: 'performance', property: 'now', message: 'Take nowMs as an argument, or a Clock.' },
  { object: 'Math', property: 'random', message: 'Take a Random.' },
];

const size = {
  'max-lines': ['error', { max: 500, skipBlankLines: true, skipComments: true }],
  'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }],
  'max-params': ['error', 3],
  'max-depth': ['error', 3],
  complexity: ['error', 10],
};

const byName = [
  'error',
  { selector: 'ExportDefaultDeclaration', message: 'Export by name, so a thing has one name everywhere.' },
];

export default defineConfig(
  { ignores: ['node_modules/', '.state/', 'coverage/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked, ...tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      ...size,
      'no-console': 'error',
      'no-restricted-syntax': byName,
      // `erasableSyntaxOnly` leaves no enum to be mistaken; to look for them takes an eighth of the lint's time.
      '@typescript-eslint/no-unsafe-enum-assignment': 'off',
      '@typescript-eslint/no-unsafe-enum-comparison': 'off',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
    },
  },
  {
    files: ['gateway/domain/**/*.ts'],
    rules: {
      'no-restricted-properties': ['error', ...pure],
      'no-restricted-globals': ['error', 'setTimeout', 'setInterval', 'setImmediate', 'process', 'fetch', 'console'],
    },
  },
  {
    // The schema is one long table of keys and the manual's words for them.
    files: ['gateway/config/schema/**/*.ts'],
    rules: { 'max-lines': 'off', 'max-lines-per-function': 'off', complexity: 'off' },
  },
  {
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      '@typescript-eslint/no-floating-promises': 'off',
      '@typescript-eslint/require-await': 'off',
      'max-lines-per-function': 'off',
      'max-lines': 'off',
    },
  },
  {
    // These run before anything is installed, on whatever Node is there: plain JavaScript, types or not.
    files: ['**/*.mjs'],
    extends: [js.configs.recommended],
    languageOptions: { globals: globals.node },
    rules: { ...size, eqeqeq: 'error', 'prefer-const': 'error', 'no-var': 'error' },
  },
  { files: ['gateway/**/*.mjs'], rules: { 'no-restricted-syntax': byName } },
);
