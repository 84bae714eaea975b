// SPDX-License-Identifier: Apache-2.0
/** `npm run example:browser` serves the page; `npm run example:browser:build` makes static files for any web server. */
import { fileURLToPath } from 'node:url';

import { defineConfig } from 'vite';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: at('.'),
  // So that the files work in any folder of a server.
  base: './',
  resolve: {
    // What `import 'tfjs-xformers'` is in a browser: the WebGPU kernels come in a file of their own.
    alias: [{ find: /^(\.\.\/)+src\/index\.js$/, replacement: at('../../src/index_browser.ts') }],
  },
  cacheDir: at('../../.cache/vite'),
  build: {
    outDir: at('../../.cache/browser-app'),
    emptyOutDir: true,
    // What has WebGPU has all of this; the others get it as it is.
    target: 'es2022',
    // Most of the page is tfjs, with three backends.
    chunkSizeWarningLimit: 3000,
  },
});
