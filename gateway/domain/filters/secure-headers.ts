import { hasField } from '../http/fields.ts';
import type { Filter } from '../route.ts';

const DEFAULTS: readonly (readonly [name: string, value: string])[] = [
  ['X-Xss-Protection', '1 ; mode=block'],
  ['Strict-Transport-Security', 'max-age=631138519'],
  ['X-Frame-Options', 'DENY'],
  ['X-Content-Type-Options', 'nosniff'],
  ['Referrer-Policy', 'no-referrer'],
  [
    'Content-Security-Policy',
    "default-src 'self' https:; font-src 'self' https: data:; img-src 'self' https: data:; object-src 'none'; script-src https:; style-src 'self' https: 'unsafe-inline'",
  ],
  ['X-Download-Options', 'noopen'],
  ['X-Permitted-Cross-Domain-Policies', 'none'],
];

/** Browsers' features, none of which an answer of a model needs. */
const FEATURES = [
  ...['accelerometer', 'ambient-light-sensor', 'autoplay', 'battery', 'camera', 'cross-origin-isolated'],
  ...['display-capture', 'document-domain', 'encrypted-media', 'execution-while-not-rendered'],
  ...['execution-while-out-of-viewport', 'fullscreen', 'geolocation', 'gyroscope', 'keyboard-map', 'magnetometer'],
  ...['microphone', 'midi', 'navigation-override', 'payment', 'picture-in-picture', 'publickey-credentials-get'],
  ...['screen-wake-lock', 'sync-xhr', 'usb', 'web-share', 'xr-spatial-tracking'],
];

const OPT_IN: readonly (readonly [string, string])[] = [
  ['Permissions-Policy', FEATURES.map(feature => `${feature}=()`).join(', ')],
];

/** The names, in lower case, that may be enabled or disabled. */
export const SECURE_HEADER_NAMES: readonly string[] = [...DEFAULTS, ...OPT_IN].map(([name]) => name.toLowerCase());

interface Choice {
  /** Names in lower case. */
  readonly enable: readonly string[];
  readonly disable: readonly string[];
}

/** Adds to the reply the fields that keep browsers careful, each only where the instance did not send it. */
export function secureHeaders(text: string, { enable, disable }: Choice): Filter {
  const chosen = [...DEFAULTS, ...OPT_IN.filter(([name]) => enable.includes(name.toLowerCase()))]
    .map(([name, value]) => ({ name, lowerName: name.toLowerCase(), value }))
    .filter(({ lowerName }) => !disable.includes(lowerName));
  return {
    name: 'SecureHeaders',
    text,
    onReply({ fields }) {
      for (const { name, lowerName, value } of chosen) {
        if (!hasField(fields, lowerName)) fields.push(name, value);
      }
    },
  };
}
