// The voxels of a 3-D view: asked of the kernel, and held beside the model, whose state Jupyter
// may write into a notebook. NiiVue finds them where it looks for them: under `data`.
function initialize({ model }) {
  let voxels = null;
  async function ask() {
    const own = await model.widget_manager.get_model(model.get("this_model_id"));
    const get = own.get.bind(own);
    own.get = (key) => (key === "data" ? voxels : get(key));
    model.send({ ask: "voxels" });
  }
  model.on("msg:custom", ({ told }, buffers) => {
    if (told !== "voxels") return;
    const { buffer, byteOffset: at, byteLength } = buffers[0].buffer ? buffers[0] : new DataView(buffers[0]);
    voxels = new DataView(buffer.slice(at, at + byteLength)); // NiiVue takes the whole of its buffer
  });
  if (model.get("this_model_id")) ask();
  else model.on("change:this_model_id", ask);
}

export default { initialize };
