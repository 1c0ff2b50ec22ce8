// The address of a server that a test starts.

/** Waits until the server listens: it compiles the portal first, which takes minutes where other work runs beside it. */
export async function address(program, patience = 5) {
  try {
    const [, url] = await program.says(/listening on (http:\/\/127\.0\.0\.1:\d+)/);
    return url;
  } catch (error) {
    if (error.name !== 'AbortError' || patience === 0) throw error;
    return address(program, patience - 1);
  }
}
