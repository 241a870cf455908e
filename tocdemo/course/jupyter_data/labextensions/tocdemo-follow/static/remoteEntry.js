// A text file that is open in JupyterLab, and that nobody edited there, shows what is on the disk.
//
// JupyterLab itself leaves such a tab as it was when the file was opened. A tab with edits is never touched:
// there JupyterLab asks, when it is saved. Written by hand as the module that JupyterLab loads (webpack's
// module federation: a container with `init` and `get`), so that nothing has to be built.
(() => {
  const EVERY = 1000; // milliseconds

  function untouched(context) {
    const model = context && context.contentsModel;
    return context && context.isReady && model && model.type === 'file' && !context.model.dirty;
  }

  async function follow(contents, context) {
    const known = context.contentsModel.last_modified;
    const disk = await contents.get(context.path, { content: false });
    const isNewer = Date.parse(disk.last_modified) > Date.parse(known);
    // Meanwhile somebody may have typed, or saved.
    if (isNewer && untouched(context) && context.contentsModel.last_modified === known) {
      await context.revert();
    }
  }

  const plugin = {
    id: 'tocdemo-follow:plugin',
    autoStart: true,
    activate: app => {
      let busy = false;
      const look = async () => {
        if (busy || document.hidden) {
          return;
        }
        busy = true;
        try {
          const contexts = [...app.shell.widgets('main')].map(widget => widget.context);
          for (const context of new Set(contexts.filter(untouched))) {
            // A file that is gone, or a server that does not answer: look again the next time.
            await follow(app.serviceManager.contents, context).catch(() => undefined);
          }
        } finally {
          busy = false;
        }
      };
      setInterval(look, EVERY);
    }
  };

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB['tocdemo-follow'] = {
    init: () => undefined,
    get: () => Promise.resolve(() => ({ __esModule: true, default: plugin }))
  };
})();
