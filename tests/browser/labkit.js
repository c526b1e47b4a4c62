// @ts-check
/**
 * Runs in the page before JupyterLab starts: what labkit.py asks of the page, in the words of Lab's own API.
 * Decides nothing; every function looks at the open notebook and answers at once, or returns a promise that the page itself settles.
 */
window.labkit = {
  pending: 0,

  /** The open notebook's panel. */
  panel() {
    const widgets = window.jupyterapp ? Array.from(window.jupyterapp.shell.widgets("main")) : [];
    return widgets.find((widget) => widget.sessionContext && widget.content && widget.content.widgets);
  },

  kernel() {
    const session = this.panel()?.sessionContext.session;
    return session ? session.kernel : null;
  },

  isReady() {
    const panel = this.panel();
    return Boolean(panel && panel.content.widgets.length && this.kernel()?.status === "idle");
  },

  /** Start a command without waiting; `pending` falls when it has ended, however it ended. */
  start(id, args) {
    this.pending += 1;
    const ended = () => {
      this.pending -= 1;
    };
    window.jupyterapp.commands.execute(id, args).then(ended, ended);
  },

  select(index) {
    const notebook = this.panel().content;
    notebook.deselectAll();
    notebook.activeCellIndex = index;
  },

  outputs(index) {
    const outputs = this.panel().content.widgets[index].model.outputs;
    return outputs ? outputs.toJSON() : [];
  },

  /** Bring a cell into view and mark its node, since Lab keeps only the cells near the view in the page. */
  async show(index) {
    const notebook = this.panel().content;
    await notebook.scrollToItem(index, "smart");
    notebook.widgets[index].node.dataset.labkitCell = String(index);
  },

  /** Run code on the kernel's main shell; what it printed, returned or raised, as text. */
  async evaluate(code) {
    let said = "";
    const future = this.kernel().requestExecute({ code, silent: false, store_history: false });
    future.onIOPub = ({ header, content }) => {
      if (header.msg_type === "stream") said += content.text;
      if (header.msg_type === "execute_result") said += content.data["text/plain"];
      if (header.msg_type === "error") said += `${content.ename}: ${content.evalue}`;
    };
    await future.done;
    return said;
  },
};
