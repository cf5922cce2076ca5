/**
 * Writes a board over its serial line. esptool-js speaks to the chip; it comes with the first board that is written.
 * What is handed to it is what the gateway gave, byte for byte: `keep` leaves the image's own flash settings alone.
 */
import type { Part } from "./api";

/** What of esptool-js is used; a test puts its own in the place. */
export interface Loader {
  /** Connects; answers what the chip calls itself, such as "ESP32-C3 (QFN32) (revision v0.4)". */
  main(): Promise<string>;
  writeFlash(options: {
    fileArray: { data: Uint8Array; address: number }[];
    flashMode: "keep";
    flashFreq: "keep";
    flashSize: "keep";
    eraseAll: boolean;
    compress: boolean;
    reportProgress: (file: number, written: number, total: number) => void;
  }): Promise<void>;
  after(): Promise<void>;
  close(): Promise<void>;
}

export class OtherChip extends Error {
  constructor(readonly found: string) {
    super(`the board is ${found}`);
  }
}

export const hasSerial = (): boolean => isSecureContext && "serial" in navigator;

const BAUD = 460_800;

/** Asks the person for the port, which only a browser's own window may do. */
export async function openBoard(): Promise<Loader> {
  const { ESPLoader, Transport } = await import("esptool-js");
  const serial = (navigator as unknown as { serial: { requestPort(): Promise<never> } }).serial;
  const transport = new Transport(await serial.requestPort());
  const loader = new ESPLoader({ transport, baudrate: BAUD });
  return {
    main: () => loader.main(),
    writeFlash: (options) => loader.writeFlash(options),
    after: () => loader.after(),
    close: () => transport.disconnect(),
  };
}

/** "ESP32-C3 (QFN32)…" is the chip of the boards esp32c3 and esp32c3-4g, and "ESP32-D0WD-V3 …" that of esp32. */
export function isChipOf(found: string, board: string): boolean {
  const chip = (name: string) => /^esp32(?:[chps]\d+)?/.exec(name.toLowerCase().replace("esp32-", "esp32"))?.[0];
  return chip(board) !== undefined && chip(found) === chip(board);
}

/** Finds out what chip it is, and only then gets what is to be written: a board that does not fit costs no password. */
export async function writeBoard(
  board: Loader,
  wanted: string,
  parts: () => Promise<Part[]>,
  progress: (percent: number) => void,
): Promise<void> {
  try {
    const found = await board.main();
    if (!isChipOf(found, wanted)) throw new OtherChip(found.split("(")[0]?.trim() ?? found);
    const files = (await parts()).map((part) => {
      if (part.data === null || part.data.length !== part.length) throw new Error("the gateway sent no whole part");
      return { data: part.data, address: part.offset };
    });
    const all = files.reduce((sum, file) => sum + file.data.length, 0);
    await board.writeFlash({
      fileArray: files,
      flashMode: "keep",
      flashFreq: "keep",
      flashSize: "keep",
      eraseAll: false,
      compress: true,
      reportProgress: (file, written, total) => {
        const before = files.slice(0, file).reduce((sum, f) => sum + f.data.length, 0);
        const part = files[file]?.data.length ?? 0;
        // Both are compressed sizes.
        progress(Math.round(((before + (part * written) / Math.max(total, 1)) / Math.max(all, 1)) * 100));
      },
    });
    await board.after();
  } finally {
    await board.close().catch(() => undefined);
  }
}
