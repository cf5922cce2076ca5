import { defineConfig } from "vitest/config";

export default defineConfig({
  // Relative, so that the page also works behind a proxy that puts it under a path.
  base: "./",
  build: {
    // Phones of some years ago: the last Chrome that Android 5 gets is newer than this.
    target: ["chrome87", "firefox85", "safari14"],
    // The gateway's Content-Security-Policy allows no data: URLs.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  // The contrast test reads the stylesheet.
  test: { css: true },
  server: { proxy: { "/api": "http://127.0.0.1:8080" } },
});
