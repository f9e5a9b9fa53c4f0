"""Common given names of many languages, from general knowledge. Left out: those that are everyday words (Will)."""

FIRST_NAMES = frozenset(
    """
    aaron abdul abdullah abigail adam adele adrian agnes agnieszka ahmad ahmed aisha alan albert alberto alejandro
    aleksandr alessandro alex alexander alexandra alexandre alexei alexis alfred ali alice alicia alina alison allan
    allison alma amanda amber amelia amelie amina amir amy ana anastasia anders andre andrea andreas andrei andres
    andrew andrzej andy angela angelina angelo angie anita ann anna anne annette annie anthony antoine anton antonia
    antonio anya ari ariana arjun arthur arturo astrid audrey augusto aurora axel ayse barbara bartosz beata
    beatrice beatriz ben benjamin benoit bernard bernd bertha beth betty bianca bjorn blanca bob bogdan boris
    brandon brenda brian bridget britta bruce bruno bryan camila camille carl carla carlos carmen carol carolina
    caroline caterina catherine cecilia celine cesar chad charles charlie charlotte chen chiara chloe chris
    christian christina christine christoph christopher cindy claire clara claude claudia claudio clemens colin
    connor cristina curtis cynthia dagmar daisy dan dana daniel daniela danielle danny dariusz darko dave david dean
    deborah debra delphine denis denise dennis derek diana diane diego dieter dimitri dmitri dmitry dominik
    dominique donald donna dora doris dorothy douglas duncan dylan eddie edgar edith eduardo edward edwin eileen
    elaine elena eleni eli elias elisa elisabeth eliska elizabeth ella ellen emil emilia emilie emily emma enrique
    eric erica erich erik erika erin ernest ernesto ester estelle esther eugene eva evan eve evelyn fabian fabio
    farid fatima federica federico felipe felix fernanda fernando filip finn fiona florence florian frances
    francesca francesco francis francisco franck frank franz fred frederic frederik fredrik friedrich gabriel
    gabriela gareth gary gemma geoffrey george georgia georgios gerald gerard gerd giovanni giulia giuseppe gloria
    gordon graham greg gregory greta guido guillaume gunnar gustav guy habib hamid hanna hannah hans harald harold
    harry hassan heather hector heidi heike heinz helen helena helene helga helmut henri henrik henry herbert
    hiroshi holly howard hugh hugo hussein ian ibrahim ida ignacio igor ilse ines inga inge ingrid irena irene irina
    irma isaac isabel isabella isabelle ivan ivana jack jackie jacob jacqueline jacques jakob jakub james jamie jan
    jana jane janet janice jaroslav jasmin jasmine jason javier jean jeff jeffrey jelena jennifer jenny jens jeremy
    jerome jerry jessica jesus jill jim jimmy joan joana joanna joao joaquin jochen joe joel johan johann johanna
    johannes john johnny jon jonas jonathan jordan jorge jose josef joseph josephine josh joshua joyce juan juana
    judith judy julia julian juliana julie julien juliet julio jurgen justin justyna kai kamil kamila karel karen
    karim karin karina karl karolina katarina katarzyna kate katharina katherine kathleen kathryn kathy katia katie
    katja katrin katrina kay keith kelly ken kenji kenneth kerstin kevin khalid kim kirsten klara klaus konrad
    konstantin kristen kristian kristin kristina kristine krystyna krzysztof kurt kyle lara larissa lars larry
    laszlo laura laurence laurent lauren layla lea leah lena leo leon leonardo leonie leslie leticia lewis liam
    lidia liliana lillian lina linda lisa liz lorenzo lorraine louis louise luc luca lucas lucia lucie lucy luigi
    luis luisa lukas lydia lynn magda magdalena magnus malcolm malgorzata manfred manuel manuela marcel marcelo
    marcia marcin marco marcos marcus margaret margarita margot maria mariana marianne marie marika marina mario
    marion marisa marjorie marko markus marta martha martin martina mary masha mateo mathias mathieu mathilde matteo
    matthew matthias maureen maurice mauro max maxim maxime maya megan mehmet mei melanie melissa mercedes mia
    michael michaela michal michel michele michelle miguel mikael mike mikhail milan milena milos mina miriam
    mohamed mohammad mohammed moira monica monika morgan morten moses muhammad mustafa nadia nadine nancy naomi
    natalia natalie natasha nathalie nathan neil nelson nicholas nick nicola nicolas nicole niels nigel nikola
    nikolai nikos nils nina noah noel noemi nora norbert norma norman nuno olaf ole oleg olga oliver olivia olivier
    omar oscar oskar otto owen pablo paloma pamela paolo pascal patricia patricio patrick patrik paul paula paulina
    pauline paulo pavel pawel pedro peggy penelope per peter petr petra phil philip philippe phillip phoebe pierre
    pietro piotr priya rachel rafael raj rajesh ralf ralph ramon randy raquel raul ravi ray raymond rebecca regina
    reinhard renata rene ricardo richard rita robert roberto robin rodrigo roger roland rolf roman ronald rosa
    rosemary roy ruben rudolf russell ruth ryan sabine sabrina salma sam samantha samir samuel sandra sandro sanjay
    santiago sara sarah saskia scott sean sebastian serena sergei sergio seth shannon sharon sheila shirley sigrid
    silvia simon simona simone sofia sonia sonja sophia sophie stacey stanislav stanley stefan stefania stefano
    steffen stella stephan stephanie stephen steve steven stewart stuart sue sunita susan susana susanne suzanne
    sven svetlana sylvia sylvie tamara tania tanja tanya tara tatiana ted teresa terry thea theo theodore theresa
    thomas thorsten tiago tibor tim timothy tina tobias todd tom tomas tomasz tommy toni tony torsten tracy trevor
    tristan ulrich ulrike ursula uwe valentina valerie vanessa vasily vera veronica veronika vicente victor victoria
    viktor vincent viola violet virginia vivian vladimir walter wanda wayne wei wendy werner wilhelm william
    wolfgang xavier yan yasmin yolanda yosef yuki yusuf yves yvonne zachary zoe zofia zoltan zsofia
    """.split()  # noqa: SIM905 - a list of words reads as one
)
