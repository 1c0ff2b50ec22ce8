// A list of files that no server has.
import type { Page } from "playwright-core";

/** Answers the list with files that do not exist. */
export async function pretend(page: Page, count: number): Promise<void> {
  const all = Array.from({ length: count }, (_, index) => ({
    file_id: `f${index}`,
    size_bytes: index * 1000,
    sha256: index.toString(16).padStart(64, "0"),
    content_type: "text/plain",
    original_filename: `file ${index}.txt`,
    created_at: new Date(Date.UTC(2026, 0, 1) + index * 1000).toISOString(),
  }));
  await page.route(/\/files\?/, async (route) => {
    const query = new URL(route.request().url()).searchParams;
    const [first, limit] = [Number(query.get("after") ?? 0), Number(query.get("limit"))];
    const next = first + limit < count ? String(first + limit) : null;
    await route.fulfill({ json: { files: all.slice(first, first + limit), next } });
  });
}
