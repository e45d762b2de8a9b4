"""Names of packages that exist, for hints: nobody is sent to a package that is not there.

Of Debian (bookworm), of the index those that many use and whose module has the package's own name; a name
that is not here may exist all the same, and is not hinted.
"""

from __future__ import annotations

import re
from typing import Final

# `r-cran-…`
_R_CRAN: Final = frozenset(
    """
    abind acepack actuar ade4 adegenet adegraphics adephylo admisc aer afex airr alakazam amap amelia amore
    animation apcluster ape aplpack argparse argparser arm arsenal askpass assertive.base assertive.sets
    assertthat av aweek backports base64enc base64url batchjobs batchtools bayesfactor bayesfm bayesm
    bayesplot bayestestr bbmisc bbmle bdgraph bdsmatrix beeswarm bench benchmarkme benchmarkmedata bh
    biasedurn bibtex bigmemory bigmemory.sri bindr bindrcpp bio3d biocmanager bios2cor bit bit64 bitops biwt
    blme blob blockmodeling bms bold bookdown boolnet boot bradleyterry2 brew brglm brglm2 bridgesampling
    brio brms brobdingnag broom broom.mixed bslib ca cachem caic4 cairo calibrate calibratr callr car
    cardata caret catools cba cellranger cgdsr checkmate chron circlize circular class classint cli cliapp
    clipr clisymbols clock clubsandwich clue cluster clustergeneration cmdfun cmprsk cmstatr coarsedatatools
    coda codetools coin collapse colorspace colourpicker combinat commonmark conditionz conquer contfrac
    conting corpcor corrplot covid19us covr cowplot cpp11 crayon credentials crosstalk crul ctmcd cubature
    cubelyr curl cutpointr cvar cvst cyclocomp d3network data.table datawizard date dbi dbitest dbplyr
    dbscan ddalpha ddrtree deal decor deldir dendextend dendsort densityclust deoptim deoptimr desc desolve
    devtools dfoptim diagnosismed dichromat diffobj digest dimred diptest dirmult discriminer distory distr
    distributional docopt domc doparallel dorng dosefinding dosnow dotcall64 downlit downloader dplyr dqrng
    drr dslabs dt dtplyr dygraphs dynamictreecut dynlm e1071 eaf earth eco ecodist ecosolver effects
    effectsize egg ei eipack ellipse ellipsis elliptic emayili emdbook emmeans emoa energy enrichwith epi
    epibasix epicalc epiestim epir epitools erm estimability estimatr etm evaluate evd exactranktests expint
    expm extradistr factoextra factominer fail fancova fansi farver fassets fastcluster fastica fastmap
    fastmatch fauxpas fbasics fbonds fcopulae fdrtool fextremes ff ffield fftw fgarch fields filehash
    filelock fimport findpython fingerprint fit.models fitbitscraper fitcoach fitdistrplus flashclust
    flexmix flextable fmultivar fnn fnonlinear fontawesome fontbitstreamvera fontliberation fontquiver
    forcats foreach forecast foreign formatr formattable formula fpc fportfolio fracdiff freetypeharfbuzz
    fregression fs ftrading fts funitroots furrr futile.logger futile.options future future.apply
    future.batchtools g.data gam gamm4 gargle gb2 gbm gbrd gbutils gclus gdata gdtools gee geepack genabel
    genabel.data generics genetics genie genieclust genoplotr geoknife geometry geosphere gert getopt
    getoptlong ggalluvial ggally gganimate ggbeeswarm ggdendro ggeffects ggforce ggfortify ggm
    ggplot.multistats ggplot2 ggpubr ggraph ggrastr ggrepel ggridges ggsci ggseqlogo ggsignif ggtext
    ggthemes ggvis gh git2r gitcreds glasso glmmtmb glmnet globaloptions globals glue gmaps gmm gmodels gmp
    gnm goftest googledrive googlesheets4 googlevis goplot gower gparotation gplots gprofiler2 graphlayouts
    gregmisc gridbase gridextra gridgraphics gridsvg gridtext grimport2 gsa gsl gss gstat gsubfn gtable
    gtools guerry gunifrac gwidgets gwidgetstcltk haplo.stats hardhat hash haven hdf5r heatmaply here hexbin
    highr hmisc hms hsaur3 htmltable htmltools htmlwidgets httpcode httpuv httr httr2 huge hunspell hwriter
    hypergeo ica ids igraph incidence ini inline insight interp intervals inum ipred irace irdisplay
    irkernel irlba iso isoband isocodes isospecr isoweek iterators itertools janeaustenr jinjar jomo jpeg
    jquerylib jrc jsonld jsonlite kaos kedd kernelheaping kernlab kernsmooth keyring km.ci kmi kmsurv knitr
    knn.covertree kohonen ks ksamples kutils labdsv labeling laeken lambda.r lamw lasso2 later lattice
    latticeextra lava lavaan lavasearch2 lazyeval lbfgsb3c leaps learnbayes leiden leidenbase lexrankr lhs
    libcoin lifecycle linprog lintr lisreltor listenv littler lme4 lmertest lmtest lobstr locfit logcondens
    logger logging logspline loo lpsolve lsd lsei lsmeans lubridate luminescence lwgeom m2r magic magick
    magrittr maldiquant maldiquantforeign manipulatewidgets maotai mapdata mapproj maps maptools maptree
    markdown markovchain mass matching matchit mathjaxr matlab matrix matrixcalc matrixmodels matrixstats
    maxlik maxstat mclust mclustcomp mcmc mcmcpack mda medadherence mediana memoise mertools metadat metafor
    metamix metap metrics mets mfilter mgcv mi mice mime minerva miniui minpack.lm minqa misc3d misctools
    mitml mitools mixsqp mixtools mlbench mlmetrics mlmrev mlr mnormt mnp mockery mockr modeest modeldata
    modelmetrics modelr modeltools mpoly msm multcomp multcompview multicool multidimbio multilevel munsell
    mutoss mvnfast mvnormtest mvtnorm nanotime natserv ncdf4 ncdfgeom ncmeta network nfactors nleqslv nlme
    nloptr nlp nmf nnet nnls nortest nozzle.r1 npsurv numderiv officer openmx openssl openxlsx
    optimalcutpoints optimparallel optimx optparse ordinal orthopolynom packrat palmerpenguins pammtools pan
    pander parallelly parallelmap parameters paramhelpers parmigene parsetools partitions party partykit
    patchwork pbapply pbdzmq pbivnorm pbkrtest pbmcapply pcapp pcict pdftools pec performance permute
    phangorn pheatmap phylobase phytools pillar pingr pixmap pkgbuild pkgcond pkgconfig pkgdown pkgkitten
    pkgload pkgmaker pki plm plogr plot3d plotly plotmo plotrix pls plumber plyr png poissonbinomial
    polspline polyclip polycor polycub polynom poorman popepi posterior postlogic powerlaw prabclus pracma
    praise prediction prettycode prettyr prettyunits prevalence princurve proc processx prodlim profilemodel
    profmem profvis progress progressr projpred promises propclust prophet proto proxy ps pscbs pscl psy
    psych psychometric psychotools psychotree psychtools psyphy publish purrr purrrlyr pvclust pwr pwt pwt8
    pwt9 qap qgraph qlcmatrix qpdf qqconf qqman qtl quadprog quantmod quantreg qvcalc r.cache r.devices
    r.methodss3 r.oo r.rsp r.utils r2d2 r2html r6 ragg randomfields randomfieldsutils randomforest randomglm
    ranger rann rappdirs raschsampler raster ratelimitr rbibutils rcarb rcdk rcdklibs rcmdcheck rcmdr
    rcmdrmisc rcolorbrewer rcpp rcppannoy rcpparmadillo rcppcctz rcppdate rcppdist rcppeigen rcppgsl
    rcpphnsw rcppml rcppmlpack rcppparallel rcppprogress rcpproll rcppspdlog rcpptoml rcsdp rcurl rdbnomics
    rdflib rdpack readbrukerflexdata readmzxmldata readr readstata13 readxl recipes redland registry regsem
    relimp relsurv rematch rematch2 remotes rentrez repr reprex reshape reshape2 restfulr reticulate rex
    rgdal rgenoud rgeos rgl rglpk rglwidget rgooglemaps rhandsontable rinside rio riskregression ritis rjags
    rjava rjson rlang rle rlinsolve rlist rlrsim rlumshiny rmarkdown rmpfr rmpi rms rmutil rmysql
    rnaturalearthdata rncl rneos rnetcdf rnexml rngtools rniftilib robumeta robust robustbase
    robustrankaggreg rockchalk rocr rodbc rook rook-examples rose rotl roxygen2 rpact rpart rpf rpostgresql
    rprojroot rprotobuf rquantlib rrcov rredlist rsample rsclient rsconnect rsdmx rserve rslurm rsolnp
    rspectra rsqlite rstan rstanarm rstantools rstatix rstudioapi rsvd rsvg rsymphony rtdists rtsne rtweet
    runit rversions rvest rwave rwiener s2 sampling samr sandwich sass satellite scales scatterd3
    scattermore scatterplot3d sctransform sdmtools segmented selectr sem semplot semtools sendmailr seqinr
    seriation seroincidence sessioninfo setrng sets seurat seuratobject sf sfsmisc sftime shades shape
    shapes shazam shiny shinybs shinycssloaders shinydashboard shinyfiles shinyjs shinystan shinythemes
    simplermarkdown sitmo sjlabelled sjmisc sjplot sjstats skimr slam slider sm smcfcs smoother sn sna
    snakecase snow snowballc snowfall sodium solrium sourcetools sp spacetime spam sparql sparr sparsem
    sparsesvd spatial spatialreg spatstat spatstat.core spatstat.data spatstat.explore spatstat.geom
    spatstat.linnet spatstat.model spatstat.random spatstat.sparse spatstat.utils spc spdata spdep spdl
    spelling splines2 spp sqldf squarem stable stabledist stablelearner stanheaders stars startupmsg
    statcheck statip statmod statnet.common stringdist stringi stringr strucchange suppdists surveillance
    survey survival survminer survmisc susier svglite svmisc svunit swagger sys systemfit systemfonts taxize
    tcltk2 tcr teachingdemos tensor tensora terra testextra testit testthat textshaping tfisher tfmpvalue
    tgp th.data thematic themis threejs tibble tidygraph tidyr tidyselect tidytext tidyverse tiff tigger
    tikzdevice timechange timedate timereg timeseries tinytest tinytex tkrplot tm tmb tmvnsim tmvtnorm
    tokenizers transformr treescape treespace triebeard trimcluster truncdist truncnorm tseries tsne tsp ttr
    tufte tweenr tzdb ucminf udunits2 unbalanced uniqtag unitizer units upsetr urca urlchecker urltools
    uroot usethis utf8 uuid uwot v8 vcd vcdextra vcr vctrs vdiffr vegan venndiagram vgam vim vioplot vipor
    viridis viridislite vroom waldo warp waveslim wavethresh wdi webfakes webgestaltr webmockr webshot
    webutils wgcna whatif whisker whoami wikidataqueryservicer wikidatar wikipedir wikitaxa withr wk wkutils
    wordcloud worrms xfun xml xml2 xmlparsedata xopen xslt xtable xts yaml zeallot zelig zeligchoice zeligei
    zeligverse zip zoo
    """.split()
)
# `r-bioc-…`
_R_BIOC: Final = frozenset(
    """
    affxparser affy affyio all altcdfenvs annotate annotationdbi annotationfilter annotationhub aroma.light
    arrayexpress ballgown basilisk basilisk.utils beachmat biobase biocbaseutils bioccheck biocfilecache
    biocgenerics biocio biocneighbors biocparallel biocsingular biocstyle biocversion biocviews biomart
    biomformat biostrings biovizbase bladderbatch bluster bsgenome bsseq chemminer cner complexheatmap
    consensusclusterplus ctc cummerbund dada2 decoupler degnorm degreport delayedarray delayedmatrixstats
    demixt deseq deseq2 destiny dexseq dir.expiry dirichletmultinomial dnacopy drimseq dropletutils dss
    dupradar ebseq edaseq edger eir ensembldb experimenthub fishpond fmcsr genefilter genelendatabase
    geneplotter genomeinfodb genomeinfodbdata genomicalignments genomicfeatures genomicfiles genomicranges
    geoquery ggbio glmgampoi go.db gosemsim goseq graph grohmm gseabase gsva gviz hdf5array hilbertvis
    hsmmsinglecell htsfilter hypergraph ihw impute interactivedisplaybase ioniser iranges
    isoformswitchanalyzer keggrest limma lpsymphony makecdfenv matrixgenerics megadepth mergeomics
    metagenomeseq metapod mofa monocle multiassayexperiment multtest mutationalpatterns nanostringqcpro
    netsam noiseq oligo oligoclasses org.hs.eg.db organismdbi pcamethods phyloseq preprocesscore progeny
    protgenerics purecn pwmenrich qtlizer qusage qvalue rbgl rcpi residualmatrix rgsepd rhdf5 rhdf5filters
    rhdf5lib rhtslib rots rsamtools rsubread rtracklayer rwikipathways s4vectors savr scaledmatrix scater
    scran scrnaseq scuttle seqlogo shortread singlecellexperiment singler snpstats sparsematrixstats
    stringdb structuralvariantannotation summarizedexperiment sva tcgabiolinks tcgabiolinksgui.data
    tfbstools titancna tximeta tximport tximportdata variantannotation wrench xvector zlibbioc
    """.split()
)
# `octave-…`
_OCTAVE: Final = frozenset(
    """
    arduino audio bart bim biosig bsltl cgi communications control data-smoothing dataframe dicom divand
    doctest econometrics financial fits fpl fuzzy-logic-toolkit ga gdf general geometry gsl image
    image-acquisition instrument-control interval io jsonlab level-set linear-algebra lssa mapping matgeom
    miscellaneous missing-functions msh mvn nan ncarray netcdf nlopt nurbs octclip octproj openems optics
    optim optiminterp parallel pfstools phclab plplot psychtoolbox-3 quaternion queueing secs1d secs2d
    secs3d signal sockets sparsersb specfun splines statistics stk strings struct symbolic tsa vibes vlfeat
    vrml zenity zeromq zmat
    """.split()
)
# On the index, written as it normalizes names.
_INDEX: Final = frozenset(
    """
    absl-py accelerate adafruit-blinka adal aenum aicsimageio aiobotocore aiofile aiofiles aiohappyeyeballs
    aiohttp aioitertools aiosignal aiosqlite alembic altair amqp anndata annotated-doc annotated-types
    anthropic antlr4-python3-runtime antropy antspyx anyio aplpy appdirs apscheduler arch argcomplete
    argon2-cffi argon2-cffi-bindings arrow arviz ase asgiref asn1crypto ast-serialize astroid astropy
    astroquery asttokens async-lru async-timeout asyncpg asyncssh attrs authlib awscli awswrangler axiom-py
    babel backoff bbknn bcrypt beartype beautifulsoup4 bertopic bids-validator billiard biopython
    bioservices biosppy bitsandbytes black bleach bleak blinker blosc bluesky bokeh boto3 botocore
    bottleneck bracex brian2 brotli build bytecode cachecontrol cachetools caio camb camelot-py cartopy
    catboost cattrs cbor2 celery cellpose cellrank celltypist cerberus certifi cffi cfgv cfn-lint cftime
    chardet charset-normalizer chembl-webresource-client cleo click click-didyoumean click-plugins
    click-repl cloudpickle cobra cohere colorama coloredlogs colorlog comm confluent-kafka contextily
    contourpy control cooler corner coverage cplex crashtest croniter cryptography cssselect2 cuda-bindings
    cuda-pathfinder cupy-cuda12x cutadapt cvxpy cwsandbox cycler cyclopts cython cytoolz cyvcf2 czifile
    dacite dash dask databricks-sdk databricks-sql-connector databricks-sqlalchemy dataclasses-json datadog
    datasets dateparser db-dtypes ddtrace deap debugpy decorator decoupler deepchem deepdiff deeplabcut
    deeptools defusedxml delta-spark dendropy deprecated deprecation dgl diffusers dill dipy diskcache
    distlib distro django dlib dnspython docker docstring-parser docutils duckdb dulwich durationpy dvc
    easyocr ecdsa editables eeglabio einops elastic-transport elasticsearch elephant email-validator emcee
    entrypoints envier et-xmlfile ete3 exceptiongroup execnet executing fabio fabric face-recognition
    factor-analyzer faker fakeredis fastapi fastapi-cli fastavro fastcore fastjsonschema fastmcp fastuuid
    feedparser filelock filetype filterpy findpython finufft fiona fitparse flair flake8 flask flask-cors
    flatbuffers flax flit-core fmriprep folium fonttools fpdf2 fqdn freesasa freezegun frozenlist fsspec
    ftfy future gala galpy gcloud-aio-auth gcloud-aio-storage gcsfs gensim geopandas gevent gffutils ghapi
    gitdb gitpython gmsh goatools googleapis-common-protos gpiozero gpxpy gradio graphene graphql-core
    graphql-relay graphviz greenlet griffelib grpc-google-iam-v1 grpcio grpcio-health-checking grpcio-status
    grpcio-tools grpclib gseapy gspread gtts gunicorn gurobipy h11 h2 h5netcdf h5py harmonypy hatchling
    hdbscan hddm healpy heartpy hf-xet hicexplorer hidapi holoviews hpack html5lib htseq httpcore httplib2
    httptools httpx httpx-sse huggingface-hub humanfriendly humanize hydra-core hyperframe hyperopt
    hypothesis identify idna ignite ijson imageio importlib-metadata importlib-resources infercnvpy
    inflection iniconfig installer invoke ipykernel ipython ipython-pygments-lexers ipywidgets iris iso8601
    isodate isoduration isort itk itsdangerous jaraco-classes jaraco-context jaraco-functools jax jedi
    jeepney jinja2 jiter jmespath joblib joserfc jpype1 json5 jsonpatch jsonpath-ng jsonpointer jsonref
    jsonschema jsonschema-path jsonschema-specifications jupyter jupyter-client jupyter-core jupyter-events
    jupyter-lsp jupyterlab jupyterlab-pygments jupyterlab-server jupyterlab-widgets jupytext k3d keras
    keyring kiwisolver kombu kubernetes lakeshore langchain langdetect langgraph langgraph-checkpoint
    langgraph-prebuilt langgraph-sdk langsmith larch lark lazy-object-proxy leidenalg liana libcst librosa
    librt libusb1 lightgbm lightkurve lightning lime limits linearmodels linkify-it-py litellm llvmlite
    lmfit loguru louvain luigi lxml lz4 macs3 mako markdown markdown-it-py markdownify markupsafe
    marshmallow mashumaro matchms matplotlib matplotlib-inline mayavi mccabe mcp mdanalysis mdit-py-plugins
    mdtraj mdurl mediapipe mesa meshio metpy mido missingno mistralai mistune mitosheet ml-dtypes mlflow
    mlflow-skinny mmh3 mne modal modin monai more-itertools moto moviepy mpi4py mpmath msal msal-extensions
    msgpack msgspec msrest mss mudata multidict multiprocess multiqc muon music21 mygene mypy
    mysql-connector-python napari narwhals nbclient nbconvert nbformat nd2 neo nest-asyncio netcdf4 networkx
    neurokit2 nexusformat nglview nh3 nibabel nidaqmx nilearn nipype nltk nodeenv notebook notebook-shim
    numba numexpr numpy oauth2client oauthlib obspy oct2py odfpy omegaconf omnipath onnxruntime openai
    openai-agents openapi-pydantic openapi-spec-validator openbabel-wheel opencv-contrib-python
    opencv-python opencv-python-headless openmm openpyxl opensearch-py ophyd optuna ordered-set orderly-set
    orjson ormsgpack ortools osmnx outcome overrides packaging pandas pandas-gbq pandocfilters papermill
    paramiko parmed parso pathable pathos pathspec patsy pbs-installer pdb2pqr pdbfixer pdf2image
    pdfminer-six pdfplumber peewee peft pendulum petsc4py pexpect pg8000 photutils picosdk pikepdf pillow
    pims pingouin pinotdb pint pip pkginfo platformdirs playwright plotly pluggy ply pmdarima poetry
    poetry-core poetry-plugin-export polars polars-runtime-32 portalocker praat-parselmouth pre-commit
    prefect pretty-midi prettytable prody prometheus-client prompt-toolkit propcache prophet propka
    proto-plus protobuf psutil psychopy psychtoolbox psycopg psycopg-binary psycopg2 psycopg2-binary
    ptyprocess pubchempy pulp pure-eval pvlib py py-key-value-aio py4j pyabf pyarrow pyarrow-hotfix pyasn1
    pyasn1-modules pyaudio pyautogui pybedtools pybids pybigwig pybind11 pybluez pycaret pycodestyle
    pycparser pycryptodome pycryptodomex pycuda pydantic pydantic-ai pydantic-ai-slim pydantic-core
    pydantic-extra-types pydantic-graph pydantic-settings pydeseq2 pydicom pydub pyedflib pyee pyepics pyfai
    pyfaidx pyfftw pyflakes pyftdi pygad pygame pygithub pyglet pygments pyhumps pyiceberg pyimagej
    pyjanitor pyjwt pyldavis pylint pylsl pymatgen pymc pymeasure pymongo pymssql pymupdf pymysql pynacl
    pynbody pynput pynwb pyodbc pyomo pyopencl pyopenms pyopenssl pyparsing pypdf pypdf2 pypdfium2 pyperclip
    pyphen pyproj pyproject-hooks pypylon pyqt5 pyqt6 pyqtgraph pyranges pyreadstat pyroaring pyrsistent
    pysam pyscf pyserial pyside6 pysocks pyspark pyteomics pytesseract pytest pytokens pytorch-lightning
    pyttsx3 pytz pyusb pyvcf3 pyvisa pyvista pywin32 pyxdf pyyaml pyzmq qcodes qutip rapidfuzz rasterio ray
    rdkit readlif readme-renderer redis redshift-connector referencing regex reportlab reproject requests
    requests-aws4auth requests-file requests-oauthlib requests-toolbelt responses retrying rfc3339-validator
    rfc3986 rfc3986-validator rfc3987-syntax rich rich-click rich-rst rich-toolkit rpds-py rpi-gpio rpy2 rsa
    ruamel-yaml ruamel-yaml-clib ruff ruptures s3fs s3transfer sacred safetensors scanpy scikit-learn scipy
    scramp scrapy scrublet scvelo scvi-tools scyjava seaborn secretstorage selenium semantic-version semgrep
    semopy semver send2trash sentence-transformers sentry-sdk setproctitle setuptools setuptools-scm sglang
    shap shapely shellingham silx simpleitk simplejson simpy six skorch sktime slack-sdk slepc4py smart-open
    smbus2 smmap snakemake sniffio snowflake-connector-python snowflake-snowpark-python snowflake-sqlalchemy
    sortedcontainers sounddevice soundfile soupsieve spacy speechrecognition sphinx sqlalchemy
    sqlalchemy-bigquery sqlglot sqlparse squarify squidpy sse-starlette stack-data stanza stardist starlette
    statsmodels streamlit structlog stumpy suite2p sunpy sympy synchronicity tableauserverclient tables
    tabula-py tabulate tellurium tenacity tensorboard tensorflow tensorflow-probability termcolor terminado
    text-unidecode textblob textract textstat textual threadpoolctl thrift tifffile tiktoken timm tinycss2
    tokenizers toml tomli tomli-w tomlkit toolz top2vec torch torch-geometric torchaudio torchio
    torchmetrics torchvision tornado tox tqdm trackpy traitlets transformers tree-sitter
    tree-sitter-languages trio trio-websocket triton trove-classifiers tsfresh tslearn typedload typeguard
    typer typing-extensions typing-inspect typing-inspection tzdata tzlocal uc-micro-py ujson ultralytics
    umap-learn uncalled-for uncertainties unidecode unidiff universal-pathlib uri-template uritemplate
    urllib3 uuid-utils uv uv-build uvicorn uvloop vaex vcfpy vcs-versioning vine virtualenv vispy voila vosk
    vtk wandb watchdog watchfiles wcmatch wcwidth weaviate-client webcolors webencodings websocket-client
    websockets werkzeug wfdb wheel widgetsnbextension windpowerlib wordcloud wrapt wsproto xarray xgboost
    xlrd xlsxwriter xlwt xmltodict xxhash yarl yasa ydb yt zarr zeep zipp zope-interface zstandard
    """.split()
)


def of_r(name: str) -> str | None:
    """Debian's package of a package of R."""
    low = name.lower()
    if low in _R_CRAN:
        return f"r-cran-{low}"
    return f"r-bioc-{low}" if low in _R_BIOC else None


def of_octave(name: str) -> str | None:
    """Debian's package of a package of Octave."""
    return f"octave-{name.lower()}" if name.lower() in _OCTAVE else None


def of_python(module: str) -> str | None:
    """The index's package that has the name of its module."""
    name = re.sub(r"[-_.]+", "-", module).lower()
    return name if name in _INDEX else None
