/** The claim code of a label: in its QR code's address, or typed. The camera needs a secure page and a browser that reads codes. */

interface Detector {
  detect(source: HTMLVideoElement): Promise<{ rawValue: string }[]>;
}
interface WithDetector {
  BarcodeDetector?: new (options: { formats: string[] }) => Detector;
}

const LOOK_MS = 250;

export const canScan = (): boolean => (globalThis as WithDetector).BarcodeDetector !== undefined && navigator.mediaDevices !== undefined;

/** "7K4M-Q2XD" of "http://192.168.1.10:8080/claim/7K4M-Q2XD" and of what people type; null if there is none. */
export function codeIn(text: string): string | null {
  const last = text.trim().split("/").at(-1) ?? "";
  const plain = last.toUpperCase().replace(/[\s-]/g, "");
  return /^[0-9A-Z]{8}$/.test(plain) ? `${plain.slice(0, 4)}-${plain.slice(4)}` : null;
}

/** Looks through the camera until it has read a label's code; null when it was stopped. */
export async function scan(video: HTMLVideoElement, stop: AbortSignal): Promise<string | null> {
  const Detector = (globalThis as WithDetector).BarcodeDetector;
  if (Detector === undefined) throw new Error("no detector");
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  try {
    video.srcObject = stream;
    await video.play();
    const detector = new Detector({ formats: ["qr_code"] });
    while (!stop.aborted) {
      for (const { rawValue } of await detector.detect(video)) {
        const code = codeIn(rawValue);
        if (code !== null) return code;
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    return null;
  } finally {
    for (const track of stream.getTracks()) track.stop();
  }
}
